"""Arithmetic with finite values and gradients at 0."""

from __future__ import annotations

import pytest
import torch

from torchmelinv._utils.numerics import pow_in_place, relative_norm, safe_divide, safe_pow


def test_safe_divide_is_zero_without_a_positive_denominator():
    numerator = torch.tensor([6.0, 1.0, 0.0, 1.0], requires_grad=True)
    denominator = torch.tensor([2.0, 0.0, 0.0, -1.0], requires_grad=True)
    quotient = safe_divide(numerator, denominator)
    assert quotient.tolist() == [3, 0, 0, 0]
    quotient.sum().backward()
    assert numerator.grad.tolist() == [0.5, 0, 0, 0]
    assert denominator.grad.tolist() == [-1.5, 0, 0, 0]


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0, 1.5, 2.0])
def test_safe_pow(exponent):
    base = torch.tensor([0.25, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(safe_pow(base, exponent), base**exponent)
    assert torch.autograd.gradcheck(lambda x: safe_pow(x, exponent), base)


@pytest.mark.parametrize("exponent", [0.3, 0.5])
@pytest.mark.parametrize("base", [0.0, 1e-40, -1.0])
def test_roots_of_vanishing_numbers_are_zero_with_a_zero_gradient(exponent, base):
    leaf = torch.tensor([base], requires_grad=True)
    root = safe_pow(leaf, exponent)
    root.sum().backward()
    assert root.item() == 0
    assert leaf.grad.item() == 0


def test_relative_norm_of_each_item():
    error = torch.tensor([[[3.0, 4.0]], [[1.0, 0.0]], [[1.0, 1.0]]])
    reference = torch.tensor([[[6.0, 8.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
    assert relative_norm(error, reference).tolist() == [[0.5], [1.0], [0.0]]
    assert relative_norm(1j * error, reference).tolist() == [[0.5], [1.0], [0.0]]


def test_relative_norm_along_a_dimension():
    error, reference = (
        torch.tensor([[3.0, 1.0], [4.0, 0.0]]),
        torch.tensor([[6.0, 0.0], [8.0, 0.0]]),
    )
    assert relative_norm(error, reference, dim=-2).tolist() == [[0.5, 0.0]]


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0, 1.5, 2.0])
def test_pow_in_place(exponent):
    base = torch.tensor([0.0, 0.25, 3.0])
    expected = base.clone() ** exponent
    result = pow_in_place(base, exponent)
    assert result is base
    assert torch.equal(result, expected)
