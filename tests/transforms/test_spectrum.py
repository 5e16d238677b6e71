"""The filterbank's input and its inverse: powers, offset, floor, gradients at 0."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY
from torchmelinv.transforms.spectrum import (
    filterbank_input,
    power_spectrum,
    remove_offset,
    safe_abs,
)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.6])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-8, 1.0, 1e8])
def test_gradients_are_finite_at_every_size(power, size):
    convention = TINY.replace(power=power)
    spectrum = torch.full((3,), size, dtype=torch.complex64).requires_grad_()
    value = filterbank_input(power_spectrum(spectrum), convention)
    value.sum().backward()
    assert spectrum.grad.isfinite().all()
    if size >= 1e-8:
        torch.testing.assert_close(value.detach(), torch.full((3,), size**power), rtol=1e-5, atol=0)


def test_offset_and_floor_act_on_the_power_spectrum():
    squared = power_spectrum(torch.tensor([0j, 1 + 1j]))
    torch.testing.assert_close(
        filterbank_input(squared, TINY.replace(magnitude_offset=1e-4)),
        torch.tensor([1e-2, (2 + 1e-4) ** 0.5]),
    )
    torch.testing.assert_close(
        filterbank_input(squared, TINY.replace(magnitude_floor=1e-4)), torch.tensor([1e-2, 2**0.5])
    )


def test_safe_abs_is_the_absolute_value_with_a_zero_gradient_at_zero():
    spectrum = torch.tensor([3 + 4j, 0j], requires_grad=True)
    safe_abs(spectrum).sum().backward()
    torch.testing.assert_close(safe_abs(spectrum), spectrum.abs())
    torch.testing.assert_close(spectrum.grad, torch.tensor([0.6 + 0.8j, 0j]))


@pytest.mark.parametrize("power", [1.0, 2.0, 0.6])
@pytest.mark.parametrize("offset", [0.0, 1e-4])
def test_remove_offset_gives_the_magnitude(power, offset):
    convention = TINY.replace(power=power, magnitude_offset=offset)
    magnitude = torch.linspace(0, 3, 20, dtype=torch.float64)
    spectrum = filterbank_input(magnitude.square(), convention)
    torch.testing.assert_close(remove_offset(spectrum, convention), magnitude, atol=1e-8, rtol=1e-9)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("offset", [0.0, 1e-4])
def test_remove_offset_below_the_offset_is_zero_with_a_zero_gradient(power, offset):
    convention = TINY.replace(power=power, magnitude_offset=offset)
    spectrum = torch.tensor([-1.0, 0.0, offset ** (power / 2) / 2]).requires_grad_()
    magnitude = remove_offset(spectrum, convention)
    magnitude.sum().backward()
    assert (magnitude == 0).all()
    assert (spectrum.grad == 0).all()
