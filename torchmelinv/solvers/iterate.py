"""The loop of all iterative methods.

It handles stopping per item, history, hooks, the best iterate and the gradient mode. A method
provides only ``step(state) -> state``, where a state is a NamedTuple of tensors.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from torchmelinv.cuda.backend import backend, requested_backend
from torchmelinv.errors import InputError

__all__ = ["Solution"]

State = TypeVar("State", bound=tuple[Any, ...])

GradientName = Literal["unrolled", "checkpointed", "phase_detached", "none"]
Gradient = GradientName | int

GRADIENTS: tuple[GradientName, ...] = get_args(GradientName)
SYNC_EVERY = 8  # iterations between two host syncs on an accelerator
SAFEGUARD_EVERY = 4  # iterations between two calls of a safeguard


class Solution(NamedTuple):
    """Result of an iterative inversion, with diagnostics for each item.

    With `Then`, the iterations are summed over the stages, `converged` is that of the last stage,
    and each stage has the residual of its own target.

    Args:
        waveform: Waveform (…, n_samples).
        n_iter: Iterations until the item stopped, (…).
        residual: Relative distance of the waveform's spectrum from the target, (…): ‖Ms − m‖ / ‖m‖
            for mel-consistent methods, ‖|STFT(x)| − A‖ / ‖A‖ for all others.
        converged: Whether the item stopped because of the tolerance, (…).
        history: Residual after each iteration, (n_iter, …). An item's values stay constant after
            the item has stopped.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.functional.waveform_to_mel(torch.randn(2, 4000), "hifigan_22k")
        >>> solution = tmi.MelInverter("hifigan_22k", n_iter=3).solve(mel)
        >>> solution.waveform.shape, solution.history.shape
        (torch.Size([2, 3840]), torch.Size([3, 2]))
        >>> solution.n_iter, solution.converged
        (tensor([3, 3]), tensor([False, False]))
    """

    waveform: Tensor
    n_iter: Tensor
    residual: Tensor
    converged: Tensor
    history: Tensor


class Iterated(NamedTuple):
    """The result of `iterate`; shapes (…) are those that `change` and `measure` return."""

    state: Any  # the last state, or the best one
    n_iter: Tensor | None  # (…) iterations until the item stopped; None without a tolerance
    converged: Tensor | None  # (…) whether the tolerance stopped the item; None without one
    history: list[Tensor]  # (…) the value of `measure` after each iteration


def check_state(state: Any, source: str) -> None:
    """Refuse a state that is not a tuple of tensors."""
    if not isinstance(state, tuple) or not all(isinstance(part, Tensor) for part in state):
        raise InputError(
            f"{source} returned a {type(state).__name__}; it must return a NamedTuple of tensors"
        )


def _maker(state: State) -> Callable[[Iterable[Any]], State]:
    """Return what makes a state of the same kind, a NamedTuple or a plain tuple, from its parts."""
    make: Any = getattr(type(state), "_make", tuple)
    return make


def check_gradient(gradient: str | int) -> str | int:
    """Return the gradient mode, if it is valid."""
    if isinstance(gradient, str) and gradient in GRADIENTS:
        return gradient
    if isinstance(gradient, numbers.Integral) and not isinstance(gradient, bool) and gradient >= 1:
        return int(gradient)
    raise InputError(
        f"gradient is {gradient!r}; it must be one of {', '.join(map(repr, GRADIENTS))}, or the "
        "number of last iterations that gradients pass through (an integer ≥ 1)"
    )


def first_with_gradient(gradient: str | int, n_iter: int) -> int:
    """Return the first of n_iter steps that a gradient passes through; ≤ 0 for all of them."""
    if isinstance(gradient, int):
        return n_iter - gradient
    return n_iter if gradient in ("none", "phase_detached") else 0


def select(mask: Tensor, if_true: State, if_false: State) -> State:
    """Return one of two states per item; the mask has size 1 after the item dimension."""

    def select(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return _maker(if_true)(select(a, b) for a, b in zip(if_true, if_false, strict=True))


def iterate(
    step: Callable[..., State],
    state: State,
    n_iter: int,
    *,
    numbered: bool = False,
    sync: bool = True,
    change: Callable[[State, State], Tensor] | None = None,
    tolerance: float | None = None,
    measure: Callable[[State], Tensor] | None = None,
    keep_best: bool = False,
    hook: Callable[[int, State], None] | None = None,
    gradient: str | int = "unrolled",
    safeguard: Callable[[State, State], State] | None = None,
    done: int = 0,
) -> Iterated:
    """Repeat a step up to `n_iter` times.

    Args:
        step: Returns the next state of a state.
        state: The initial state.
        n_iter: Largest number of iterations.
        numbered: Whether `step` also takes the number of iterations before it.
        sync: Whether the host may read on other devices than the CPU which items still move. If
            not, the loop ends early on the CPU alone.
        change: Relative change of each item from one state to the next, ≥ 0, broadcastable against
            every tensor of the state.
        tolerance: An item whose change is at most this takes that step and is then frozen by a
            mask; the loop ends when all items are. The host reads the mask in every iteration on
            the CPU and in every eighth on other devices, so no iteration waits for the device.
        measure: A value of each item, smaller is better, which fills the history.
        keep_best: Return each item's state with the smallest `measure`.
        hook: Called with the iteration, from 0, and the state after each iteration.
        gradient: How gradients pass. ``"unrolled"``: autograd through every step.
            ``"checkpointed"``: the same gradient, but about √n_iter states are stored and the
            steps between them computed twice (``"unrolled"`` if there is a tolerance, measure or
            hook). An integer k: through the last k of `n_iter` steps, so an item that stopped
            before them passes none. ``"none"`` and ``"phase_detached"``: through no step (the
            method adds what ``"phase_detached"`` needs).
        safeguard: Gets the states before and after every fourth iteration and returns the one to go
            on from.
        done: Iterations of the same state before these.

    Returns:
        The last or best state, with iterations, convergence and history.
    """
    observed = (tolerance, measure, hook) != (None, None, None)
    if gradient == "checkpointed" and torch.is_grad_enabled() and not observed:
        return Iterated(_checkpointed(step, state, n_iter, numbered, safeguard), None, None, [])
    history: list[Tensor] = []
    active: Any = None  # items that still move; None before the first iteration
    counts: Any = None
    best: Any = state
    least: Any = measure(state) if keep_best and measure is not None else None
    first = first_with_gradient(gradient, n_iter)
    if first > 0:  # detached, because a step may pass on a part of its state unchanged
        state = best = _maker(state)(part.detach() for part in state)
    for iteration in range(n_iter):
        with torch.set_grad_enabled(torch.is_grad_enabled() and iteration >= first):
            new = step(state, done + iteration) if numbered else step(state)
            if safeguard is not None and (done + iteration + 1) % SAFEGUARD_EVERY == 0:
                new = safeguard(state, new)
            if active is not None:
                new = select(active, new, state)
        with torch.no_grad():
            if change is not None and tolerance is not None:
                moving = change(state, new) > tolerance
                if active is None:
                    active = torch.ones_like(moving)
                    counts = torch.zeros_like(moving, dtype=torch.long)
                counts = counts + active
                active = active & moving
            if measure is not None:
                history.append(measure(new))
        state = new
        if keep_best and measure is not None:
            best = select(history[-1] < least, state, best)
            least = torch.minimum(history[-1], least)
        if hook is not None:
            hook(iteration, state)
        if _is_sync_iteration(active, iteration, sync) and not active.any():
            break
    converged = None if active is None else ~active
    return Iterated(best if keep_best else state, counts, converged, history)


def _is_sync_iteration(active: Tensor | None, iteration: int, sync: bool) -> bool:
    """Return whether the host may read in this iteration which items are still active."""
    if active is None:
        return False
    return active.device.type == "cpu" or (sync and iteration % SYNC_EVERY == SYNC_EVERY - 1)


def _checkpointed(
    step: Callable[..., State],
    state: State,
    n_iter: int,
    numbered: bool,
    safeguard: Callable[[State, State], State] | None,
) -> State:
    """Return the state after n_iter steps, in checkpointed segments of about √n_iter steps."""
    # Not a closure over the state, which would keep the graph of the last state alive.
    make = _maker(state)
    size = max(1, math.isqrt(n_iter))
    # Autograd computes the steps again in threads of its own, which do not inherit the backend.
    name = requested_backend()

    def segment(*leaves: Tensor, done: int) -> tuple[Tensor, ...]:
        steps = min(size, n_iter - done)
        with backend(name):
            options: dict[str, Any] = {"numbered": numbered, "safeguard": safeguard, "done": done}
            return tuple(iterate(step, make(leaves), steps, **options).state)

    for first in range(0, n_iter, size):
        run = functools.partial(segment, done=first)
        # Steps draw no random numbers, so there is no generator state to restore.
        parts = checkpoint(run, *state, use_reentrant=False, preserve_rng_state=False)
        state = make(parts)
    return state
