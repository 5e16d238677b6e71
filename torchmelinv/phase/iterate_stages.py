"""Iterate a phase method: its stages one after the other, gradients, and diagnostics."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import relative_norm
from torchmelinv.cuda.graphs import replay_graph, worth_capturing
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.solvers.iterate import Iterated, check_state, first_with_gradient, iterate


class Loop(NamedTuple):
    """How to iterate; each field as in `iterate`."""

    n_iter: int
    tolerance: float | None
    gradient: str | int
    return_info: bool
    keep_best: bool
    hook: Callable[[int, Any], None] | None


def relative_change(before: Any, after: Any) -> Tensor:
    """Return the relative change of a state's first field, (items, 1)."""
    return relative_norm(after[0] - before[0], after[0])


def _distance(problem: PhaseProblem, signal: Tensor) -> Tensor:
    """Return the relative distance of the signal's spectrum from the target, (items, 1)."""
    with torch.no_grad():
        return problem.target.distance(problem.plan.masked(problem.plan.forward(signal)))


def _closer(problem: PhaseProblem, one: Tensor, other: Tensor) -> Tensor:
    """Return each item's signal that is closer to the target; a later stage may be farther."""
    return torch.where(_distance(problem, other) < _distance(problem, one), other, one)


def _gradient_of_stage(gradient: str | int, later: int) -> str | int:
    """Return the gradient mode of a stage before `later` more iterations.

    Of the last k iterations that a gradient passes, the stage has those that it does itself.
    """
    if not isinstance(gradient, int):
        return gradient
    return gradient - later if gradient > later else "none"


def _captured(stage: PhaseMethod, count: int, problem: PhaseProblem, spectrum: Tensor) -> Tensor:
    """Return the stage's signal after `count` steps, captured as one CUDA graph."""
    target: Any = problem.target
    fields = target._asdict()
    tensors = {name: value for name, value in fields.items() if isinstance(value, Tensor)}
    others = tuple(value for name, value in fields.items() if name not in tensors)

    def steps(spectrum: Tensor, *values: Tensor) -> tuple[Tensor]:
        inputs = dict(zip(tensors, values, strict=True))
        copied = dataclasses.replace(problem, target=target._replace(**inputs))
        step = functools.partial(stage.step, copied)
        start = stage.init(copied, spectrum)
        state = iterate(step, start, count, safeguard=stage.safeguard).state
        return (stage.signal(copied, state),)

    plan, kind = problem.plan, (type(target), tuple(tensors), others)
    by_kernel = problem.kernel_args is not None
    key = (stage, count, plan.convention, plan.n_samples, problem.n_channels, kind, by_kernel)
    return replay_graph(key, steps, spectrum, *tensors.values(), keep_alive=problem.plan)[0]


def _can_be_captured(
    stage: PhaseMethod, problem: PhaseProblem, spectrum: Tensor, loop: Loop
) -> bool:
    """Return whether nothing reads values between steps, and the steps are short."""
    watched = loop.return_info or loop.keep_best or loop.hook or loop.tolerance is not None
    if watched or not stage.cuda_graph_safe or problem.plan.frame_mask is not None:
        return False
    # Weights belong to one mel; a graph is replayed for others.
    known = type(problem) is PhaseProblem and problem.weights is None
    known = known and isinstance(problem.target, tuple)
    return known and worth_capturing(spectrum, problem.target.values)


def iterate_stages(
    method: PhaseMethod,
    make_problem: Callable[[PhaseMethod], PhaseProblem],
    spectrum: Tensor,
    loop: Loop,
) -> tuple[Tensor, ...]:
    """Run all stages of a method.

    Args:
        method: The method.
        make_problem: Returns the problem that a stage solves.
        spectrum: Complex spectrum to start from, (items, frames, n_freqs).
        loop: Iterations, stopping rule, gradient mode and diagnostics.

    Returns:
        Signals (items, samples). With ``loop.return_info`` also iterations, residual and
        convergence (items), and history (items, n_iter). Once all items have stopped, the history
        is constant to the end of the stage; the next stage iterates them again. Within a step of
        several iterations (RTISI-LA) it is constant, too.
    """
    n_iter: Any = 0
    done = 0
    converged: Any = None
    history: list[Tensor] = []
    signals: list[Tensor] = []
    stages = method.stages(loop.n_iter)
    stages = [each for each in stages if each[1] + each[0].iterations_of_init > 0] or stages[:1]
    for index, (stage, count) in enumerate(stages):
        problem, per_step = make_problem(stage), stage.iterations_per_step
        first = stage.iterations_of_init
        if index:
            spectrum = problem.impose(problem.plan.forward(signals[-1]))
        later = sum(
            other.iterations_of_init + steps * other.iterations_per_step
            for other, steps in stages[index + 1 :]
        )
        gradient = _gradient_of_stage(loop.gradient, later)
        passes_init = first_with_gradient(gradient, first + count) <= 0
        initial: Any = None
        # A stage that no gradient passes has none in its start and in its signal either.
        with torch.set_grad_enabled(torch.is_grad_enabled() and gradient != "none"):
            if _can_be_captured(stage, problem, spectrum, loop):
                result = Iterated(None, None, None, [])
                signal = _captured(stage, count, problem, spectrum)
            else:
                stage_loop = loop._replace(n_iter=count, gradient=gradient)
                with torch.set_grad_enabled(torch.is_grad_enabled() and passes_init):
                    initial = stage.init(problem, spectrum)
                check_state(initial, f"{type(stage).__name__}.init")
                result = _iterate_stage(stage, problem, initial, stage_loop, done + first)
                signal = stage.signal(problem, result.state)
        signals.append(signal)
        steps = count if result.n_iter is None else result.n_iter[:, 0]
        n_iter, done = n_iter + first + per_step * steps, done + first + per_step * count
        converged = result.converged
        if result.history:
            entries = [*result.history, *[result.history[-1]] * (count - len(result.history))]
            if first:
                history += [_distance(problem, stage.signal(problem, initial))] * first
            history += [entry for entry in entries for _ in range(per_step)]
    if loop.keep_best:
        signal = functools.reduce(functools.partial(_closer, problem), signals)
    if loop.gradient == "phase_detached":
        signal = problem.plan.inverse(problem.impose(problem.plan.forward(signal.detach())))
    if not loop.return_info:
        return (signal,)
    residual = _distance(problem, signal)
    history = [*history, *[history[-1] if history else residual] * (loop.n_iter - len(history))]
    if converged is None:
        converged = torch.zeros(len(signal), 1, dtype=torch.bool, device=signal.device)
    return (
        signal,
        torch.zeros_like(residual[:, 0], dtype=torch.long) + n_iter,
        residual[:, 0],
        converged[:, 0],
        torch.cat(history, 1) if history else residual[:, :0],
    )


def _iterate_stage(
    stage: PhaseMethod, problem: PhaseProblem, initial: Any, loop: Loop, done: int
) -> Iterated:
    """Iterate one stage from its first state; `done` iterations came before."""
    hook = loop.hook
    return iterate(
        lambda state, number: stage.numbered_step(problem, state, number),
        initial,
        loop.n_iter,
        numbered=True,
        change=relative_change,
        tolerance=loop.tolerance,
        measure=(lambda state: _distance(problem, stage.signal(problem, state)))
        if loop.return_info or loop.keep_best
        else None,
        keep_best=loop.keep_best,
        hook=None if hook is None else lambda iteration, state: hook(done + iteration, state),
        gradient=loop.gradient,
        safeguard=stage.safeguard,
    )
