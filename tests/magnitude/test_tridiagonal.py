"""Tridiagonal solves against dense ones, with gradients, at every size from 1 on."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.magnitude.tridiagonal import solve_tridiagonal


def system(n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a positive definite system that is not diagonally dominant.

    It is L Lᵀ of a bidiagonal L with couplings as strong as its diagonal.
    """
    low = torch.rand(n, 3, dtype=torch.float64) + 1
    side = 1.5 * torch.rand(n - 1, 3, dtype=torch.float64)
    diagonal = low.square()
    diagonal[1:] += side.square()
    return diagonal, low[:-1] * side, torch.randn(n, 3, dtype=torch.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 80])
def test_against_dense(n):
    diagonal, off, right = system(n)
    solution = solve_tridiagonal(diagonal, off, right)
    for k in range(3):
        dense = torch.diag(diagonal[:, k]) + torch.diag(off[:, k], 1) + torch.diag(off[:, k], -1)
        torch.testing.assert_close(dense @ solution[:, k], right[:, k], atol=1e-8, rtol=1e-8)


def test_gradients_of_any_order():
    parts = [part.requires_grad_() for part in system(5)]
    assert torch.autograd.gradcheck(solve_tridiagonal, parts)
    assert torch.autograd.gradgradcheck(solve_tridiagonal, parts)


def test_nearly_equal_equations_are_solved_to_the_last_digits():
    """Filters that share their only bins give such blocks; only a small ridge tells them apart."""
    diagonal = torch.full((8, 1), 1 + 1e-12, dtype=torch.float64)
    off = torch.ones(7, 1, dtype=torch.float64)
    off[1::2] = 0
    right = torch.randn(4, 1, dtype=torch.float64).repeat_interleave(2, 0)
    solution = solve_tridiagonal(diagonal, off, right)
    torch.testing.assert_close(solution[::2] + solution[1::2], right[::2], atol=1e-6, rtol=1e-6)
