"""Symmetric positive definite tridiagonal systems, many at once, in log2(n) vectorized steps.

Parallel cyclic reduction (Hockney and Jesshope 1981): each step expresses every unknown by
neighbors twice as far away, until there are none. Eliminations are Schur complements of a positive
definite matrix, so no pivoting is needed. Close to a singular matrix they lose digits, which
refinement with the same factors recovers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.batching import mapped_first
from torchmelinv._utils.tracing import apply_function

__all__ = ["solve_tridiagonal"]

REFINEMENTS = 1


def _factor(
    diagonal: Tensor, off_diagonal: Tensor
) -> tuple[list[tuple[int, Tensor, Tensor]], Tensor]:
    """Return the steps and the remaining diagonal.

    A step is its reach and the multipliers of the neighbor above and of the one below.
    """
    steps = []
    coupling, reach = off_diagonal, 1  # coupling[k] connects k with k + reach
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
    steps, remaining = _factor(diagonal, off_diagonal)
    solution, residual = torch.zeros_like(right), right
    for refinement in range(1 + REFINEMENTS):
        if refinement:
            residual = right - diagonal * solution
            residual[..., :-1, :].addcmul_(off_diagonal, solution[..., 1:, :], value=-1)
            residual[..., 1:, :].addcmul_(off_diagonal, solution[..., :-1, :], value=-1)
        for reach, above, below in steps:
            reduced = residual.clone()
            reduced[..., :-reach, :].addcmul_(above, residual[..., reach:, :], value=-1)
            reduced[..., reach:, :].addcmul_(below, residual[..., :-reach, :], value=-1)
            residual = reduced
        solution.addcdiv_(residual, remaining)
    return solution


class _SolveTridiagonal(torch.autograd.Function):
    @staticmethod
    def forward(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
        return _solve(diagonal, off_diagonal, right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2], output)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return solve_tridiagonal(*mapped_first(info.batch_size, in_dims, inputs)), 0

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        diagonal, off_diagonal, solution = ctx.saved_tensors
        back = solve_tridiagonal(diagonal, off_diagonal, grad[0])
        cross = back[..., 1:, :] * solution[..., :-1, :] + back[..., :-1, :] * solution[..., 1:, :]
        return -back * solution, -cross, back


def solve_tridiagonal(diagonal: Tensor, off_diagonal: Tensor, right: Tensor) -> Tensor:
    """Solve T x = right for symmetric positive definite tridiagonal T.

    Gradients of any order are again such solves.

    Args:
        diagonal: Diagonals of m independent systems, (…, n, m).
        off_diagonal: Off-diagonals (…, n − 1, m).
        right: Right-hand sides (…, n, m).

    Returns:
        The solutions x (…, n, m).

    Shape:
        - diagonal: (…, n, m)
        - off_diagonal: (…, n − 1, m)
        - right: (…, n, m)
        - output: (…, n, m)

    References:
        R. W. Hockney and C. R. Jesshope, "Parallel Computers", Adam Hilger, 1981.

    Example:
        >>> import torch
        >>> from torchmelinv.magnitude.tridiagonal import solve_tridiagonal
        >>> diagonal, off_diagonal = torch.full((3, 1), 2.0), torch.full((2, 1), -1.0)
        >>> x = solve_tridiagonal(diagonal, off_diagonal, torch.tensor([[1.0], [0.0], [1.0]]))
        >>> torch.allclose(x, torch.ones(3, 1))
        True
    """
    return apply_function(_SolveTridiagonal, diagonal, off_diagonal, right)
