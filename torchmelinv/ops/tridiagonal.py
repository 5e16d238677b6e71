"""Symmetric positive definite tridiagonal systems, many at once, in log2(n) vectorised steps.

Parallel cyclic reduction (Hockney and Jesshope 1981): each step expresses every unknown by neighbours twice as far away, until
there are none. Eliminations are Schur complements of a positive definite matrix, so no pivoting is needed; close to a
singular matrix they lose digits, which refinement with the same factors gives back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

REFINEMENTS = 1


def _factor(diagonal: Tensor, off_diagonal: Tensor) -> tuple[list[tuple[int, Tensor, Tensor]], Tensor]:
    """The multipliers of each step, (reach, of the neighbour above, of the one below), and what is left on the diagonal."""
    steps = []
    coupling, reach = off_diagonal, 1  # coupling[k] ties k to k + reach
    while reach < diagonal.shape[-2]:
        inverse = diagonal.reciprocal()
        above, below = coupling * inverse[..., reach:, :], coupling * inverse[..., :-reach, :]
        steps.append((reach, above, below))
        diagonal = diagonal.clone()
        diagonal[..., :-reach, :].addcmul_(above, coupling, value=-1)
        diagonal[..., reach:, :].addcmul_(below, coupling, value=-1)
        coupling = -above[..., :-reach, :] * coupling[..., reach:, :]
        reach *= 2
    return steps, diagonal


def _solve(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    steps, left = _factor(diagonal, off_diagonal)
    solution, remainder = torch.zeros_like(right), right
    for refinement in range(1 + REFINEMENTS):
        if refinement:
            remainder = right - diagonal * solution
            remainder[..., :-1, :].addcmul_(off_diagonal, solution[..., 1:, :], value=-1)
            remainder[..., 1:, :].addcmul_(off_diagonal, solution[..., :-1, :], value=-1)
        for reach, above, below in steps:
            reduced = remainder.clone()
            reduced[..., :-reach, :].addcmul_(above, remainder[..., reach:, :], value=-1)
            reduced[..., reach:, :].addcmul_(below, remainder[..., :-reach, :], value=-1)
            remainder = reduced
        solution.addcdiv_(remainder, left)
    return solution


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
