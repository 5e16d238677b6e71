"""Symmetric positive definite tridiagonal systems, many at once, in log2(n) vectorised steps.

Parallel cyclic reduction (Hockney and Jesshope 1981): each step expresses every unknown by neighbours twice as far away, until
there are none. Eliminations are Schur complements of a positive definite matrix, so no pivoting is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad


def _shift(tensor: Tensor, by: int) -> Tensor:
    """Rows moved down by `by` (up where negative), zeros moving in."""
    return pad(tensor, (0, 0, by, 0))[..., :-by, :] if by > 0 else pad(tensor, (0, 0, 0, -by))[..., -by:, :]


def _solve(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    n = diagonal.shape[-2]
    below = pad(off_diagonal, (0, 0, 0, 1))  # row k couples k with k + reach
    reach = 1
    while reach < n:
        inverse = diagonal.reciprocal()
        down = below * _shift(inverse, -reach)  # what eliminates the neighbour k + reach
        up = _shift(below * inverse, reach)  # and k − reach
        diagonal = diagonal - down * below - up * _shift(below, reach)
        right = right - down * _shift(right, -reach) - up * _shift(right, reach)
        below = -down * _shift(below, -reach)
        reach *= 2
    return right / diagonal


class _SolveTridiagonal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
        solution = _solve(diagonal, off_diagonal, right)
        ctx.save_for_backward(diagonal, off_diagonal, solution)
        return solution

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        diagonal, off_diagonal, solution = ctx.saved_tensors
        back = solve_tridiagonal(diagonal, off_diagonal, grad[0])
        cross = back[..., 1:, :] * solution[..., :-1, :] + back[..., :-1, :] * solution[..., 1:, :]
        return -back * solution, -cross, back


def solve_tridiagonal(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    """x with T x = right for symmetric positive definite T.

    `diagonal`, `right`: (…, n, m), m independent systems; `off_diagonal`: (…, n − 1, m). Returns (…, n, m). Gradients of any
    order are again such solves.
    """
    return _SolveTridiagonal.apply(diagonal, off_diagonal, right)
