"""The only loop: steps, per-item stopping, history, hooks, the best iterate, and how gradients pass through it.

A method brings `step(state) -> state`, where a state is a NamedTuple of tensors. Everything else that a loop is asked for is
here, and no method sees it.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from torchmelinv.errors import InputError
from torchmelinv.ops.backend import asked, backend

State = TypeVar("State", bound=tuple[Any, ...])

GRADIENTS = ("unrolled", "checkpointed", "phase_detached", "none")
LOOK_EVERY = 8  # iterations between two looks of the host at an accelerator


class Solution(NamedTuple):
    """What solving gives beside the answer; one entry an item."""

    waveform: Tensor  # (…, n_samples)
    steps: Tensor  # (…) iterations done until the item stopped
    residual: Tensor  # (…) relative distance from what was asked for; the method says which
    converged: Tensor  # (…) whether the item stopped by its tolerance
    history: Tensor  # (n_iter, …) residual after each iteration; constant once an item has stopped


class Iterated(NamedTuple):
    """The loop's result; shapes (…) are those that `change` and `measure` return."""

    state: Any  # the last state, or the best one
    steps: Tensor | None  # (…) iterations until the item stopped; None where there is no tolerance
    converged: Tensor | None  # (…) whether it stopped by its tolerance; None where there is none
    history: list[Tensor]  # what `measure` said after each iteration


def check_gradient(gradient: str | int) -> str | int:
    """The gradient mode, if it is one."""
    if isinstance(gradient, str) and gradient in GRADIENTS:
        return gradient
    if isinstance(gradient, numbers.Integral) and not isinstance(gradient, bool) and gradient >= 1:
        return int(gradient)
    allowed = f"one of {', '.join(map(repr, GRADIENTS))}, or how many of the last steps it passes (a whole number ≥ 1)"
    raise InputError(f"gradient is {gradient!r}; it must be {allowed}")


def _first_with_gradient(gradient: str | int, n_iter: int) -> int:
    """The first of n_iter steps that a gradient passes through."""
    if isinstance(gradient, int):
        return n_iter - gradient
    return n_iter if gradient in ("none", "phase_detached") else 0


def _choose(mask: Tensor, yes: State, no: State) -> State:
    def one(a: Tensor, b: Tensor) -> Tensor:
        """`mask` has a dimension of size 1 after the items, and fields may have more: it goes on with as many."""
        return torch.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return type(yes)(*(one(a, b) for a, b in zip(yes, no, strict=True)))


def iterate(
    step: Callable[[State], State],
    state: State,
    n_iter: int,
    *,
    change: Callable[[State, State], Tensor] | None = None,
    tolerance: float | None = None,
    measure: Callable[[State], Tensor] | None = None,
    keep_best: bool = False,
    hook: Callable[[int, State], None] | None = None,
    gradient: str | int = "unrolled",
) -> Iterated:
    """Repeat `step` up to `n_iter` times.

    `change(before, after)` is a relative, non-negative number for each item, broadcastable against every tensor of the
    state. An item whose change is at most `tolerance` takes that step and is frozen by mask; the loop ends when all are. The
    host looks at every iteration on the CPU and at every eighth elsewhere, so no iteration waits for the device.
    `measure(state)`, smaller is better, fills the history; with `keep_best` the state where it was smallest is returned.
    `hook(iteration, state)` is called after each iteration.

    `gradient` is the way back. `unrolled`: autograd through every step. `checkpointed`: the same gradient, about √n_iter states
    kept and the steps between them done twice (`unrolled` where an account is asked for). An int k: through the last k of
    `n_iter` steps only, so that an item which stopped before them passes none. `none` and `phase_detached`: through no step
    (what `phase_detached` then adds is the method's matter).
    """
    if gradient == "checkpointed" and torch.is_grad_enabled() and (tolerance, measure, hook) == (None, None, None):
        return Iterated(_checkpointed(step, state, n_iter), None, None, [])
    history: list[Tensor] = []
    active: Any = None  # which items still move; None until one was asked
    steps: Any = None
    best: Any = state
    least: Any = measure(state) if keep_best and measure is not None else None
    first = _first_with_gradient(gradient, n_iter)
    if first > 0:  # a step may hand on a part of its state as it is
        state = best = type(state)(*(part.detach() for part in state))
    for iteration in range(n_iter):
        with torch.set_grad_enabled(torch.is_grad_enabled() and iteration >= first):
            new = step(state)
            if active is not None:
                new = _choose(active, new, state)
        with torch.no_grad():
            if change is not None and tolerance is not None:
                moving = change(state, new) > tolerance
                steps = torch.ones_like(moving, dtype=torch.long) if active is None else steps + active
                active = moving if active is None else active & moving
            if measure is not None:
                history.append(measure(new))
        state = new
        if keep_best and measure is not None:
            best, least = _choose(history[-1] < least, state, best), torch.minimum(history[-1], least)
        if hook is not None:
            hook(iteration, state)
        look = active is not None and (active.device.type == "cpu" or iteration % LOOK_EVERY == LOOK_EVERY - 1)
        if look and not active.any():
            break
    return Iterated(best if keep_best else state, steps, None if active is None else ~active, history)


def _checkpointed(step: Callable[[State], State], state: State, n_iter: int) -> State:
    kind: Any = type(state)
    size = max(1, math.isqrt(n_iter))
    name = asked()  # the steps are done again by autograd's threads, where nobody asked for a backend

    def segment(*leaves: Tensor, steps: int) -> tuple[Tensor, ...]:
        with backend(name):
            return tuple(iterate(step, kind(*leaves), steps).state)

    for first in range(0, n_iter, size):
        steps = min(size, n_iter - first)
        # a step draws no random numbers, so there is no generator to restore
        state = kind(*checkpoint(functools.partial(segment, steps=steps), *state, use_reentrant=False, preserve_rng_state=False))
    return state
