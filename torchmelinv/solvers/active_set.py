"""Solve frames together, and stop each one as soon as it has converged.

Iterations run in rounds. After each round, only the frames that have not converged continue. The
host waits for the device between two rounds, never within one.

A problem and a state are NamedTuples whose tensors have frames in the last dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

Fields = TypeVar("Fields", bound=tuple[Any, ...])


def select_frames(fields: Fields, frames: Tensor) -> Fields:
    """Return the NamedTuple at some frames; fields that are not tensors stay."""
    kind: Any = type(fields)
    return kind(*(field[..., frames] if isinstance(field, Tensor) else field for field in fields))


def scatter_frames(fields: Fields, frames: Tensor, new: Fields) -> Fields:
    """Return the NamedTuple with new values at some frames."""
    kind: Any = type(fields)
    pairs = zip(fields, new, strict=True)
    return kind(*(old.index_copy(-1, frames, value.to(old.dtype)) for old, value in pairs))


def solve_active(
    solve: Callable[[Any, Fields, int], tuple[Fields, Tensor, Tensor]],
    problem: Any,
    state: Fields,
    rounds: Iterable[int],
) -> tuple[Fields, Tensor, Tensor]:
    """Run rounds of iterations on the frames that have not converged.

    Args:
        solve: Takes the problem, the state and a number of iterations. Returns the new state, and
            iterations and convergence of each frame, (1, 1, frames).
        problem: The problem of all frames.
        state: The initial state of all frames.
        rounds: Number of iterations of each round.

    Returns:
        State, iterations and convergence of all frames, as from `solve`.
    """
    result, n_iter = state, torch.zeros_like(state[0][..., :1, :], dtype=torch.long)
    converged = torch.zeros_like(n_iter, dtype=torch.bool)
    active = torch.arange(n_iter.shape[-1], device=n_iter.device)
    for count in rounds:
        state, steps, done = solve(problem, state, count)
        result = scatter_frames(result, active, state)
        n_iter = n_iter.index_add(-1, active, steps)
        converged = converged.index_copy(-1, active, done)
        remaining = (~done).flatten().nonzero().flatten()
        if len(remaining) == 0:
            break
        active = active[remaining]
        problem, state = select_frames(problem, remaining), select_frames(state, remaining)
    return result, n_iter, converged
