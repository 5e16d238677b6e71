"""Imposing a magnitude: modulus, angle and gradients, which stay finite at and near zero."""

from __future__ import annotations

import pytest
import torch

from tests.pretended_device import pretended_device, recording
from torchmelinv.phase.impose_magnitude import impose_magnitude


def test_modulus_and_angle():
    spectrum = torch.randn(3, 4, 5, dtype=torch.complex128)
    magnitude = torch.rand(3, 4, 5, dtype=torch.float64)
    result = impose_magnitude(spectrum.clone(), magnitude)
    torch.testing.assert_close(result, magnitude * spectrum.sgn())
    with_gradient = impose_magnitude(spectrum.requires_grad_(), magnitude)
    torch.testing.assert_close(with_gradient.detach(), result)


def test_gradient():
    spectrum = torch.randn(3, 4, dtype=torch.complex128, requires_grad=True)
    magnitude = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(impose_magnitude, (spectrum, magnitude))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-20, 1e-8, 1e8])
def test_finite_at_every_size(size):
    spectrum = (torch.ones(2, 2, dtype=torch.complex64) * size).requires_grad_()
    magnitude = torch.full((2, 2), max(size, 1e-8), requires_grad=True)
    result = impose_magnitude(spectrum, magnitude)
    result.abs().sum().backward()
    assert result.isfinite().all()
    assert spectrum.grad.isfinite().all()
    assert magnitude.grad.isfinite().all()
    if size == 0:
        assert (result == 0).all()
        assert (spectrum.grad == 0).all()


def test_second_derivative():
    spectrum = torch.randn(3, 4, dtype=torch.complex128, requires_grad=True)
    magnitude = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(impose_magnitude, (spectrum, magnitude))


def test_second_derivative_at_zero_is_finite():
    silent = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    total = impose_magnitude(silent, torch.ones(3)).abs().sum()
    (first,) = torch.autograd.grad(total, silent, create_graph=True)
    (second,) = torch.autograd.grad(first.abs().sum(), silent, allow_unused=True)
    assert (first == 0).all()
    assert second is None or second.isfinite().all()


def test_four_launches_impose_the_same_on_a_device():
    sizes = torch.tensor([0.0, 1e-30, 1e-12, 1e-8, 1.0, 1e8])[:, None]
    spectrum, magnitude = torch.randn(6, 5, dtype=torch.complex64) * sizes, torch.rand(6, 5)
    with pretended_device() as device:
        there = (spectrum.to(device), magnitude.to(device))
        with recording() as record:
            result = impose_magnitude(*there)
        result = result.cpu()
    assert record.launches == 4
    torch.testing.assert_close(result, impose_magnitude(spectrum, magnitude))
