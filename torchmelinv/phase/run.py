"""One problem run through a method: its stages one after the other, the way back for gradients, and the account."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.iterate import Iterated, iterate
from torchmelinv.ops.backend import chosen
from torchmelinv.ops.graphs import replayed, worth_recording
from torchmelinv.phase.method import PhaseMethod, PhaseProblem


class Loop(NamedTuple):
    """How to iterate; each as in `iterate`."""

    n_iter: int
    tolerance: float | None
    gradient: str | int
    account: bool
    keep_best: bool
    hook: Callable[[int, Any], None] | None


def _moved(before: Any, after: Any) -> Tensor:
    """Relative change of a state's first field, (items, 1); 0 for a silent one."""
    change, size = (each.abs().square().flatten(1).sum(-1) for each in (after[0] - before[0], after[0]))
    return torch.where(change > 0, change / size.clamp(min=torch.finfo(size.dtype).tiny), 0).sqrt()[:, None]


def _distance(problem: PhaseProblem, signal: Tensor) -> Tensor:
    """How far the signal's spectrum is from the target, relative, (items, 1). Without gradient."""
    with torch.no_grad():
        return problem.target.distance(problem.plan.masked(problem.plan.analyse(signal)))


def _nearer(problem: PhaseProblem, one: Tensor, other: Tensor) -> Tensor:
    """Of two signals, each item's that is nearer to the target: a stage need not reach what the stage before it had."""
    return torch.where(_distance(problem, other) < _distance(problem, one), other, one)


def _gradient_of_stage(gradient: str | int, later: int) -> str | int:
    """The mode of a stage that `later` iterations follow: of the last k, the stage has those that it does itself."""
    if not isinstance(gradient, int):
        return gradient
    return gradient - later if gradient > later else "none"


def _run_stage(stage: PhaseMethod, count: int, problem: PhaseProblem, spectrum: Tensor, loop: Loop, done: int) -> Iterated:
    """`count` steps of one method, with `done` before them."""

    def measure(state: Any) -> Tensor:
        return _distance(problem, stage.signal(problem, state))

    outer = loop.hook
    hook = None if outer is None else lambda iteration, state: outer(done + iteration, state)
    return iterate(
        lambda state: stage.step(problem, state),
        stage.init(problem, spectrum),
        count,
        change=_moved,
        tolerance=loop.tolerance,
        measure=measure if loop.account or loop.keep_best else None,
        keep_best=loop.keep_best,
        hook=hook,
        gradient=loop.gradient,
    )


def _recorded(stage: PhaseMethod, count: int, problem: PhaseProblem, spectrum: Tensor) -> Tensor:
    """The stage's signal after `count` steps that nobody looks into, recorded as one graph."""
    target: Any = problem.target
    fields = {name: getattr(target, name) for name in target._fields}
    tensors = {name: value for name, value in fields.items() if isinstance(value, Tensor)}
    others = [value for name, value in fields.items() if name not in tensors]

    def steps(spectrum: Tensor, *values: Tensor) -> tuple[Tensor]:
        again = PhaseProblem(target._replace(**dict(zip(tensors, values, strict=True))), problem.plan)
        state = iterate(lambda state: stage.step(again, state), stage.init(again, spectrum), count).state
        return (stage.signal(again, state),)

    settings = tuple(value if isinstance(value, int | float | None) else id(value) for value in others)  # held, so ids last
    key = (stage, count, problem.plan.convention, problem.plan.n_samples, type(target), settings)
    return replayed(key, steps, spectrum, *tensors.values(), holds=(problem.plan, others))[0]


def _can_be_recorded(stage: PhaseMethod, problem: PhaseProblem, spectrum: Tensor, loop: Loop) -> bool:
    """Whether the stage is only launches, and so short ones that a graph of them pays."""
    watched = loop.account or loop.keep_best or loop.hook is not None or loop.tolerance is not None
    if watched or not stage.only_launches or problem.plan.counted is not None or chosen() != "cuda":
        return False
    return worth_recording(spectrum, problem.target.values)


def run(method: PhaseMethod, problem: PhaseProblem, spectrum: Tensor, loop: Loop) -> tuple[Tensor, ...]:
    """Signal (items, samples); with an account also steps, residual, convergence (items) and history (items, n_iter).

    The history goes on constant to the end of a stage once all items have stopped; an item that stopped in one stage goes on in
    the next. A method that does all its iterations in one step has one entry for them.
    """
    steps: Any = 0
    done = 0
    converged: Any = None
    history: list[Tensor] = []
    signals: list[Tensor] = []
    stages = method.stages(loop.n_iter)
    stages = [stage for stage in stages if stage[1] > 0] or stages[:1]
    for index, (stage, count) in enumerate(stages):
        gradient = _gradient_of_stage(loop.gradient, sum(later for _, later in stages[index + 1 :]))
        # A stage that no gradient passes has none in its start and in its answer either.
        with torch.set_grad_enabled(torch.is_grad_enabled() and gradient != "none"):
            if _can_be_recorded(stage, problem, spectrum, loop):
                result = Iterated(None, None, None, [])
                signal = _recorded(stage, count, problem, spectrum)
            else:
                result = _run_stage(stage, count, problem, spectrum, loop._replace(gradient=gradient), done)
                signal = stage.signal(problem, result.state)
        done += count
        signals.append(signal)
        steps = steps + (count if result.steps is None else result.steps[:, 0])
        converged = result.converged
        if result.history:
            history += [*result.history, *[result.history[-1]] * (count - len(result.history))]
        if index + 1 < len(stages):
            spectrum = problem.impose(problem.plan.analyse(signal))
    if loop.keep_best:
        signal = functools.reduce(functools.partial(_nearer, problem), signals)
    if loop.gradient == "phase_detached":
        signal = problem.plan.synthesise(problem.impose(problem.plan.analyse(signal.detach())))
    if not loop.account:
        return (signal,)
    residual = _distance(problem, signal)
    history = [*history, *[history[-1] if history else residual] * (loop.n_iter - len(history))]
    return (
        signal,
        torch.as_tensor(steps, device=signal.device).expand(len(signal)),
        residual[:, 0],
        torch.zeros(len(signal), dtype=torch.bool, device=signal.device) if converged is None else converged[:, 0],
        torch.cat(history, 1) if history else residual[:, :0],
    )
