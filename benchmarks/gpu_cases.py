"""The cases of the phase iteration: whole calls, single steps, and how near they stay to float64."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torchaudio
from torch import Tensor

from benchmarks import gpu_model
from benchmarks.common import Record, check
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import (
    MOMENTUM,
    STEP_ERROR,
    Case,
    Contender,
    Run,
    Scale,
    Setting,
    batch_of,
    kernel_module,
    magnitudes,
    norm_distance,
    peak_distance,
    size_of,
    waveforms,
)
from torchmelinv import functional
from torchmelinv.frame import Frame, FramePlan
from torchmelinv.ops.backend import backend
from torchmelinv.phase.griffin_lim import GriffinLim, GriffinLimState
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem

FEW = 2  # iterations after which the path is still one, so that waveforms can be compared
CALL_ERROR = 1e-3  # of the norm, after those
CONVERGENCE_DB = 0.05  # largest distance of an item's spectral convergence from the float64 reference's
METHOD = GriffinLim(MOMENTUM)


def facts(title: str, setting: Setting, batch: int, n_frames: int, **more: Any) -> Record:
    """What the file says of a case."""
    return {"title": title, "setting": str(setting), **setting._asdict(), "batch": batch, "n_frames": n_frames, **more}


def convergence_db(waveform: Tensor, magnitude: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """Spectral convergence and log-spectral distance of each item, in float64."""
    found = Frame(setting.frame).analyse(waveform.double()).abs()
    wanted = magnitude.double()
    return functional.spectral_convergence_db(found, wanted), functional.log_spectral_distance_db(found, wanted)


# Whole calls


def torchaudio_run(setting: Setting, n_iter: int) -> Run:
    """torchaudio's recursion, with whatever gradient is asked for. Its momentum means m / (1 + m), see phase/griffin_lim.py."""
    sizes = (setting.n_fft, setting.hop_length, setting.n_fft)

    def run(magnitude: Tensor) -> Tensor:
        window = _hann(setting.n_fft, magnitude.dtype, magnitude.device)
        return torchaudio.functional.griffinlim(magnitude, window, *sizes, 1.0, n_iter, MOMENTUM, None, False)

    return run


def by_torchaudio(setting: Setting, n_iter: int) -> Run:
    return torch.no_grad()(torchaudio_run(setting, n_iter))


@functools.lru_cache(maxsize=8)
def _hann(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, dtype=dtype, device=device)


def by_function(setting: Setting, name: str, n_iter: int) -> Run:
    """The public function, under a backend."""

    @torch.no_grad()
    def run(magnitude: Tensor) -> Tensor:
        with backend(name):
            return functional.fast_griffin_lim(magnitude, setting.frame, n_iter, MOMENTUM, start="zero")

    return run


def by_steps(setting: Setting, name: str, n_iter: int) -> Run:
    """The same recursion by one family of kernels alone."""

    @torch.no_grad()
    def run(magnitude: Tensor) -> Tensor:
        rows = magnitude.mT.contiguous()
        plan = _plan(setting, rows)
        module = kernel_module(name, plan.layout)
        signal = previous = plan.synthesise(torch.complex(rows, torch.zeros_like(rows)))
        for _ in range(n_iter):
            new = module.step(plan.layout, rows, signal, previous, MOMENTUM, MOMENTUM, 1.0)[1]
            signal, previous = new, signal
        return signal

    return run


def _plan(setting: Setting, rows: Tensor) -> FramePlan:
    n_frames = rows.shape[1]
    return Frame(setting.frame).plan(n_frames, setting.frame.n_samples(n_frames), rows)


def _with_graphs(make: dict[str, Callable[[int], Run]], graph: str) -> list[Contender]:
    """Each as it is and as a graph; what is named after kernels must launch some. torchaudio waits for the device: no graph."""
    found = []
    for name, one in make.items():
        kernels = name.endswith("kernels")
        found.append(Contender(name, one, None, kernels))
        if name != "torchaudio":
            found.append(Contender(f"{name}, graph", one, graph, kernels))
    return found


def call(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """Magnitudes to waveforms by fast Griffin-Lim from zero phase: from there torchaudio's recursion is the same."""
    n_frames, items = setting.n_frames(scale), batch_of(batch, scale)
    first = magnitudes(setting, items, n_frames, clock.device, 0)
    sets = [first, *(magnitudes(setting, items, n_frames, clock.device, s) for s in range(1, clock.n_sets(size_of(first))))]

    @functools.lru_cache(maxsize=4)
    def expected(index: int, n_iter: int) -> tuple[Tensor, Tensor]:
        waveform = by_function(setting, "reference", n_iter)(sets[index].double())
        return waveform, convergence_db(waveform, sets[index], setting)[0]

    def checks(_: Contender, make: Callable[[int], Run], result: Callable[[int], Tensor]) -> list[Record]:
        found = []
        few = make(FEW)
        for index in (0, len(sets) - 1):
            distance = norm_distance(few(sets[index]), expected(index, FEW)[0])
            found.append(check(f"distance from float64 after {FEW} iterations, of the norm", distance, at_most=CALL_ERROR))
            apart = convergence_db(result(index), sets[index], setting)[0] - expected(index, scale.n_iter)[1]
            what = f"spectral convergence beside float64's after {scale.n_iter} iterations, the farthest item, dB"
            found.append(check(what, float(apart.abs().max()), at_most=CONVERGENCE_DB))
        return found

    contenders = _with_graphs({
        "torchaudio": functools.partial(by_torchaudio, setting),
        "plain torch": functools.partial(by_function, setting, "reference"),
        "kernels": functools.partial(by_function, setting, "cuda"),
        "pairs kernels": functools.partial(by_steps, setting, "pairs"),
        "fused kernels": functools.partial(by_steps, setting, "fused"),
    }, "each")  # fmt: skip
    title = f"fast Griffin-Lim, {scale.n_iter} iterations, {setting}, batch {batch}"
    work = gpu_model.fast_griffin_lim(setting.frame).of(items * n_frames)
    return Case(facts(title, setting, batch, n_frames), scale.n_iter, work, sets, contenders, checks)


# Single steps


class StepInputs(NamedTuple):
    """A step in the midst of an iteration."""

    problem: PhaseProblem
    state: GriffinLimState

    def double(self) -> StepInputs:
        rows = self.problem.magnitude.double()
        problem = PhaseProblem(MagnitudeTarget(rows), _plan_like(self.problem.plan, rows), rows)
        return StepInputs(problem, GriffinLimState(*(each.double() for each in self.state)))


def _plan_like(plan: FramePlan, rows: Tensor) -> FramePlan:
    return Frame(plan.convention).plan(plan.n_frames, plan.n_samples, rows)


def step_inputs(setting: Setting, items: int, n_frames: int, clock: Clock, seed: int) -> StepInputs:
    """The two signals are the true one with noise, 20 dB below it: angles are known, but not the true ones."""
    signal = waveforms(items, setting.frame.n_samples(n_frames), setting.sample_rate, clock.device, seed)
    rows = Frame(setting.frame).analyse(signal).abs().mT.contiguous()
    noise = torch.Generator(clock.device).manual_seed(1000 + seed)
    scale = 0.1 * signal.square().mean(-1, keepdim=True).sqrt()
    near = [signal + scale * torch.randn(signal.shape, generator=noise, device=clock.device) for _ in range(2)]
    return StepInputs(PhaseProblem(MagnitudeTarget(rows), _plan(setting, rows), rows), GriffinLimState(*near))


def method_step(name: str, _: int = 1) -> Callable[[StepInputs], Tensor]:
    """A step as the loop does it, under a backend."""

    @torch.no_grad()
    def run(inputs: StepInputs) -> Tensor:
        with backend(name):
            return METHOD.step(inputs.problem, inputs.state).signal

    return run


def kernel_step(name: str, _: int = 1) -> Callable[[StepInputs], Tensor]:
    @torch.no_grad()
    def run(inputs: StepInputs) -> Tensor:
        layout = inputs.problem.plan.layout
        module, (signal, previous) = kernel_module(name, layout), inputs.state
        return module.step(layout, inputs.problem.magnitude, signal, previous, MOMENTUM, MOMENTUM, 1.0)[1]

    return run


STEPS: dict[str, Callable[[int], Run]] = {
    "plain torch": functools.partial(method_step, "reference"),
    "kernels": functools.partial(method_step, "cuda"),
    "pairs kernels": functools.partial(kernel_step, "pairs"),
    "fused kernels": functools.partial(kernel_step, "fused"),
}


def step(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """One iteration alone, on inputs that the cache does not hold: what the floor of bytes is about."""
    n_frames, items = setting.n_frames(scale), batch_of(batch, scale)
    first = step_inputs(setting, items, n_frames, clock, 0)
    more = range(1, clock.n_sets(size_of(first.problem.magnitude, *first.state)))
    sets = [first, *(step_inputs(setting, items, n_frames, clock, seed) for seed in more)]
    expected = functools.lru_cache(maxsize=2)(lambda index: method_step("reference")(sets[index].double()))

    def checks(_: Contender, __: Callable[[int], Run], result: Callable[[int], Tensor]) -> list[Record]:
        apart = [peak_distance(result(index), expected(index)) for index in (0, len(sets) - 1)]
        return [check("distance of a step from float64, of the peak", each, at_most=STEP_ERROR) for each in apart]

    title = f"one iteration of fast Griffin-Lim, {setting}, batch {batch}"
    work = gpu_model.fast_griffin_lim(setting.frame).of(items * n_frames)
    return Case(facts(title, setting, batch, n_frames), 1, work, sets, _with_graphs(STEPS, "chain"), checks)


# Accuracy


def accuracy(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """From one start: a step, where many iterations end, whether two runs are one, and whether items see each other."""
    n_frames, items = setting.n_frames(scale), batch_of(batch, scale)
    inputs = step_inputs(setting, items, n_frames, clock, 7)
    magnitude = inputs.problem.magnitude.mT
    angles = 2 * torch.pi * torch.rand(inputs.problem.magnitude.shape, generator=torch.Generator().manual_seed(5)).double()
    start = inputs.double().problem.plan.synthesise(torch.polar(inputs.problem.magnitude.double(), angles.to(clock.device)))

    def iterated(one: Run, inputs: StepInputs, start: Tensor, n_iter: int) -> Tensor:
        state = GriffinLimState(start, start)
        for _ in range(n_iter):
            state = GriffinLimState(one(inputs._replace(state=state)), state.signal)
        return state.signal

    @functools.lru_cache(maxsize=1)
    def expected() -> tuple[Tensor, tuple[Tensor, Tensor]]:
        by, double = method_step("reference"), inputs.double()
        return by(double), convergence_db(iterated(by, double, start, scale.n_long), magnitude, setting)

    def alone(item: int) -> StepInputs:
        rows = inputs.problem.magnitude[item : item + 1].contiguous()
        return StepInputs(PhaseProblem(MagnitudeTarget(rows), inputs.problem.plan, rows), inputs.state)

    def measured(contender: Contender) -> Record:
        one = contender.make(1)
        single, (convergence, distance) = expected()
        found = iterated(one, inputs, start.float(), scale.n_long)
        again = iterated(one, inputs, start.float(), scale.n_long)
        found_db = convergence_db(found, magnitude, setting)
        few = iterated(one, inputs, start.float(), 8)
        own = [(iterated(one, alone(i), start[i : i + 1].float(), 8), few[i : i + 1]) for i in (0, items - 1)]
        return {
            "step_error": peak_distance(one(inputs), single),
            "convergence_apart_db": float((found_db[0].mean() - convergence.mean()).abs()),
            "log_spectral_apart_db": float((found_db[1].mean() - distance.mean()).abs()),
            "two_runs_equal": torch.equal(found, again),
            "alone_equal": all(torch.equal(a, b) for a, b in own),
        }

    contenders = [Contender(name, make, None, name.endswith("kernels")) for name, make in STEPS.items()]
    title = f"accuracy of fast Griffin-Lim, {setting}, batch {batch}, {scale.n_long} iterations from random phases"
    nothing = lambda *_: []  # noqa: E731
    record = facts(title, setting, batch, n_frames)
    return Case(record, scale.n_long, None, [inputs], contenders, nothing, timed=False, accuracy=measured)
