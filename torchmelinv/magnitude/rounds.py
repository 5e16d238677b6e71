"""Frames are solved together but end one by one: after each round of iterations only those that still move go on.

A problem and a state are NamedTuples whose tensors have the frames last. The host looks between two rounds, never in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

Parts = TypeVar("Parts", bound=tuple[Any, ...])


def at_frames(parts: Parts, frames: Tensor) -> Parts:
    """The same record at these frames alone; what is no tensor stays."""
    kind: Any = type(parts)
    return kind(*(part[..., frames] if isinstance(part, Tensor) else part for part in parts))


def put_frames(parts: Parts, frames: Tensor, new: Parts) -> Parts:
    """The record with new values at these frames."""
    kind: Any = type(parts)
    pairs = zip(parts, new, strict=True)
    return kind(*(part.index_copy(-1, frames, each.to(part.dtype)) for part, each in pairs))


def in_rounds(
    solve: Callable[[Any, Parts, int], tuple[Parts, Tensor, Tensor]], problem: Any, state: Parts, rounds: Iterable[int]
) -> tuple[Parts, Tensor, Tensor]:
    """Call `solve(problem, state, n_iter) -> state, steps, converged` for each n_iter of `rounds` on the frames left over.

    Returns the same three for all frames; steps and convergence are (1, 1, frames).
    """
    whole, steps = state, torch.zeros_like(state[0][..., :1, :], dtype=torch.long)
    converged = torch.zeros_like(steps, dtype=torch.bool)
    left = torch.arange(steps.shape[-1], device=steps.device)
    for n_iter in rounds:
        state, more, done = solve(problem, state, n_iter)
        whole = put_frames(whole, left, state)
        steps, converged = steps.index_add(-1, left, more), converged.index_copy(-1, left, done)
        moving = (~done).flatten().nonzero().flatten()
        if len(moving) == 0:
            break
        left, problem, state = left[moving], at_frames(problem, moving), at_frames(state, moving)
    return whole, steps, converged
