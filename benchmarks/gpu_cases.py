"""The cases of the phase iteration: whole calls, single steps, and how near they stay to float64."""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple
from unittest import mock

import torch
import torchaudio
from torch import Tensor

import torchmelinv as tmi
from benchmarks import gpu_inputs
from benchmarks.common import CheckFailed, Record, check
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MOMENTUM, Case, Contender, Make, Run, Scale, Setting, input_sets, waveforms, with_graph
from torchmelinv import functional
from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.joint.mel_consistent import USUAL_METHOD, MelConsistent
from torchmelinv.ops import fused_cuda, nvrtc, pairs_cuda
from torchmelinv.ops.backend import backend
from torchmelinv.ops.layout import MelPull
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim, AcceleratedState
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem

PRESET = "hifigan_22k"
FEW = 2  # iterations after which the path is still one, so that waveforms can be compared
CONVERGENCE_DB = 0.05  # largest distance of an item's spectral convergence from the float64 reference's
# Distances from float64, each 10 to 30 times what plain torch in float32 has: up to 4.6e-5 (of ten frames; 1.6e-5 of
# many), 3.3e-7 and 2e-7. A step's is the library's own.
CALL_ERROR = 5e-4  # of the norm, after a few iterations
STEP_ERROR, MEL_STEP_ERROR = 1e-5, 5e-6  # of the peak
FAST = AcceleratedGriffinLim(MOMENTUM, MOMENTUM, 1.0)  # these numbers make it fast Griffin-Lim
FAMILIES: dict[str, Any] = {"fused": fused_cuda, "pairs": pairs_cuda}


class NotServed(CheckFailed):
    """A family of kernels that is not made for what a case asks for: no fault of its own."""


def norm_distance(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; NaN where anything of it is."""
    return float(torch.linalg.vector_norm(found.double() - expected) / torch.linalg.vector_norm(expected))


def peak_distance(found: Tensor, expected: Tensor) -> float:
    """Largest distance, as part of the peak; NaN where anything is."""
    return float((found.double() - expected).abs().max() / expected.abs().max())


def convergence_db(waveform: Tensor, magnitude: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """Spectral convergence and log-spectral distance of each item, in float64."""
    found = Frame(setting.frame).analyse(waveform.double()).abs()
    wanted = magnitude.double()
    return functional.spectral_convergence_db(found, wanted), functional.log_spectral_distance_db(found, wanted)


def magnitudes(setting: Setting, items: int, n_frames: int, device: torch.device, seed: int) -> Tensor:
    """(items, n_freqs, n_frames), laid out in memory as torch.stft does: frame by frame, which is what serves all contenders."""
    frame = setting.frame
    return Frame(frame).analyse(waveforms(items, frame.n_samples(n_frames), setting.sample_rate, device, seed)).abs()


# Whole calls


@functools.lru_cache(maxsize=8)
def _hann(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, dtype=dtype, device=device)


def by_torchaudio(setting: Setting, n_iter: int) -> Run:
    """torchaudio's recursion. Its momentum means m / (1 + m), see phase/griffin_lim.py."""
    sizes = (setting.n_fft, setting.hop_length, setting.n_fft)

    def run(magnitude: Tensor) -> Tensor:
        window = _hann(setting.n_fft, magnitude.dtype, magnitude.device)
        return torchaudio.functional.griffinlim(magnitude, window, *sizes, 1.0, n_iter, MOMENTUM, None, False)

    return run


def by_function(setting: Setting, name: str, n_iter: int) -> Run:
    """The public function, under a backend."""

    @torch.no_grad()
    def run(magnitude: Tensor) -> Tensor:
        with backend(name):
            return functional.fast_griffin_lim(magnitude, setting.frame, n_iter, MOMENTUM, start="zero")

    return run


def call(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """Magnitudes to waveforms by fast Griffin-Lim from zero phase: from there torchaudio's recursion is the same."""
    items, n_frames = setting.shape(batch, scale)
    sets = input_sets(clock, functools.partial(magnitudes, setting, items, n_frames, clock.device))

    @functools.lru_cache(maxsize=4)
    def expected(index: int, n_iter: int) -> tuple[Tensor, Tensor]:
        waveform = by_function(setting, "reference", n_iter)(sets[index].double())
        return waveform, convergence_db(waveform, sets[index], setting)[0]

    def checks(_: Contender, make: Make, index: int, found: Tensor) -> list[Record]:
        distance = norm_distance(make(FEW)(sets[index]), expected(index, FEW)[0])
        apart = convergence_db(found, sets[index], setting)[0] - expected(index, scale.n_iter)[1]
        what = f"spectral convergence beside float64's after {scale.n_iter} iterations, the farthest item, dB"
        return [
            check(f"distance from float64 after {FEW} iterations, of the norm", distance, at_most=CALL_ERROR),
            check(what, float(apart.abs().max()), at_most=CONVERGENCE_DB),
        ]

    contenders = [
        Contender("torchaudio", lambda n_iter: torch.no_grad()(by_torchaudio(setting, n_iter))),  # waits for the device: no graph
        *with_graph("plain torch", functools.partial(by_function, setting, "reference"), "each"),
        *with_graph("kernels", functools.partial(by_function, setting, "cuda"), "each", "call", setting.family),
    ]
    title = f"fast Griffin-Lim, {scale.n_iter} iterations, {setting}, batch {batch}"
    work = gpu_inputs.fast_griffin_lim(setting.frame).of(items * n_frames)
    return Case(title, setting, batch, scale.n_iter, work, sets, contenders, checks)


# Single steps


class Inputs(NamedTuple):
    """A step in the midst of an iteration."""

    problem: PhaseProblem
    state: AcceleratedState

    def double(self, convention: FrameConvention) -> Inputs:
        state = AcceleratedState(*(each.double() for each in self.state))
        return Inputs(_problem(convention, self.problem.target.values.double()), state)


def _problem(convention: FrameConvention, rows: Tensor) -> PhaseProblem:
    """Magnitudes (items, frames, n_freqs) to be imposed; where the convention is one of mels, these, (items, frames, n_mels)."""
    plan = Frame(convention).plan(rows.shape[1], convention.n_samples(rows.shape[1]), rows)
    if not isinstance(convention, tmi.MelConvention):
        return PhaseProblem(MagnitudeTarget(rows), plan)
    wanted = MelConsistent().wanted(rows.mT, _filterbank(convention), convention)
    return PhaseProblem(wanted.target(rows, torch.ones_like(rows[:, :1, :1])), plan)


@functools.lru_cache(maxsize=1)
def _filterbank(convention: tmi.MelConvention) -> tmi.MelFilterbank:
    return tmi.MelFilterbank(convention)  # one, for its tables are kept with it


def step_inputs(
    convention: FrameConvention, sample_rate: int, items: int, n_frames: int, device: torch.device, seed: int
) -> Inputs:
    """The two signals are the true one with noise, 20 dB below it: angles are known, but not the true ones.

    What a convention of mels holds the step to is the mel.
    """
    signal = waveforms(items, convention.n_samples(n_frames), sample_rate, device, seed)
    is_mel = isinstance(convention, tmi.MelConvention)
    rows = tmi.MelAnalyzer(convention).linear(signal) if is_mel else Frame(convention).analyse(signal).abs()
    noise = torch.Generator(device).manual_seed(1000 + seed)
    scale = 0.1 * signal.square().mean(-1, keepdim=True).sqrt()
    last, previous = (signal + scale * torch.randn(signal.shape, generator=noise, device=device) for _ in range(2))
    return Inputs(_problem(convention, rows.mT.contiguous()), AcceleratedState(last, last, previous))


def method_step(name: str, method: AcceleratedGriffinLim) -> Run:
    """A step as the loop does it, under a backend."""

    @torch.no_grad()
    def run(inputs: Inputs) -> Tensor:
        with backend(name):
            return method.step(inputs.problem, inputs.state).relaxed

    return run


def kernel_step(name: str, method: AcceleratedGriffinLim) -> Run:
    """A step by one family of kernels."""

    @torch.no_grad()
    def run(inputs: Inputs) -> Tensor:
        layout, wanted, family = inputs.problem.plan.layout, inputs.problem.target.for_kernels(), FAMILIES[name]
        if isinstance(wanted, str):
            raise NotServed(wanted)
        reason = nvrtc.why_not(inputs.state.relaxed) or family.why_not(layout, wanted if isinstance(wanted, MelPull) else None)
        if reason is not None:
            raise NotServed(reason)
        _, last, previous = inputs.state
        return family.step(layout, wanted, last, previous, method.momentum, method.inertia, method.relaxation)[1]

    return run


def _steppers(setting: Setting, method: AcceleratedGriffinLim) -> list[Contender]:
    """Families by themselves before the method's step, which takes one of them."""
    pull = ("pull",) if method is USUAL_METHOD else ()
    found = with_graph("plain torch", lambda _: method_step("reference", method), "chain")
    for name in FAMILIES:
        words = (*(f"{name} {word}" for word in pull), name)
        found += with_graph(f"{name} kernels", lambda _, name=name: kernel_step(name, method), "chain", *words)
    public = ("step", *(f"{setting.family} {word}" for word in pull), setting.family)
    return [*found, *with_graph("kernels", lambda _: method_step("cuda", method), "chain", *public)]


def step(setting: Setting, batch: int, scale: Scale, clock: Clock, preset: str | None = None) -> Case:
    """One iteration alone, on inputs that the cache does not hold: what the floor of bytes is about.

    With a preset the mel-consistent iteration of its mels, as `MelInverter` does it.
    """
    items, n_frames = setting.shape(batch, scale)
    convention = setting.frame if preset is None else tmi.preset(preset)
    method, limit = (FAST, STEP_ERROR) if preset is None else (USUAL_METHOD, MEL_STEP_ERROR)
    make = functools.partial(step_inputs, convention, setting.sample_rate, items, n_frames, clock.device)
    sets = input_sets(clock, make)
    expected = functools.lru_cache(maxsize=2)(lambda index: method_step("reference", method)(sets[index].double(convention)))

    def checks(_: Contender, __: Make, index: int, found: Tensor) -> list[Record]:
        return [check("distance of a step from float64, of the peak", peak_distance(found, expected(index)), at_most=limit)]

    if preset is None:
        what, work = f"fast Griffin-Lim, {setting}", gpu_inputs.fast_griffin_lim(convention)
    else:
        what = f"mel-consistent inversion, {preset}"
        work = gpu_inputs.mel_consistent(convention, convention.n_mels, MelConsistent().sweeps)
    title, work = f"one iteration of {what}, batch {batch}", work.of(items * n_frames)
    return Case(title, setting, batch, 1, work, sets, _steppers(setting, method), checks)


def sweep(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """The fused step with other numbers of multiprocessors to fill (more of them: shorter runs) and of registers a thread."""
    case = step(setting, batch, scale, clock)

    def variant(fill: int, registers: int) -> Run:
        kernel = lambda *size: fused_cuda._kernel("fused.cu", "fused_step", *size, registers)  # noqa: E731
        changed = {"_multiprocessors": lambda _: fill, "_step_kernel": kernel}
        return lambda inputs: mock.patch.multiple(fused_cuda, **changed)(kernel_step("fused", FAST))(inputs)

    contenders = [
        Contender(f"{numbers[0]} multiprocessors, {numbers[1]} registers", lambda _, n=numbers: variant(*n), "chain", ("fused",))
        for numbers in itertools.product((33, 66, 132, 264, 528), (80, 96, 112, 128, 144, 168, 255))
    ]
    return case._replace(contenders=[*(one for one in case.contenders if one.name == "fused kernels, graph"), *contenders])


# Accuracy


def accuracy(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """From one start: a step, where many iterations end, whether two runs are one, and whether items see each other."""
    items, n_frames = setting.shape(batch, scale)
    inputs = step_inputs(setting.frame, setting.sample_rate, items, n_frames, clock.device, 7)
    rows = inputs.problem.target.values
    angles = 2 * torch.pi * torch.rand(rows.shape, generator=torch.Generator().manual_seed(5)).double()
    start = inputs.double(setting.frame).problem.plan.synthesise(torch.polar(rows.double(), angles.to(clock.device)))

    def iterated(one: Run, inputs: Inputs, last: Tensor, n_iter: int) -> Tensor:
        previous = last
        for _ in range(n_iter):
            last, previous = one(inputs._replace(state=AcceleratedState(last, last, previous))), last
        return last

    @functools.lru_cache(maxsize=1)
    def expected() -> tuple[Tensor, tuple[Tensor, Tensor]]:
        by, double = method_step("reference", FAST), inputs.double(setting.frame)
        return by(double), convergence_db(iterated(by, double, start, scale.n_long), rows.mT, setting)

    def measured(contender: Contender) -> Record:
        one = contender.make(1)
        single, (convergence, distance) = expected()
        found, again = (iterated(one, inputs, start.float(), scale.n_long) for _ in range(2))
        found_db, few, alone = convergence_db(found, rows.mT, setting), iterated(one, inputs, start.float(), 8), []
        for item in (0, items - 1):
            own = inputs._replace(problem=_problem(setting.frame, rows[item : item + 1].contiguous()))
            alone.append(torch.equal(iterated(one, own, start[item : item + 1].float(), 8), few[item : item + 1]))
        return {
            "step_error": peak_distance(one(inputs), single),
            "convergence_apart_db": float((found_db[0].mean() - convergence.mean()).abs()),
            "log_spectral_apart_db": float((found_db[1].mean() - distance.mean()).abs()),
            "two_runs_equal": torch.equal(found, again),
            "alone_equal": all(alone),
        }

    contenders = [one for one in _steppers(setting, FAST) if one.graph is None]
    title = f"accuracy of fast Griffin-Lim, {setting}, batch {batch}, {scale.n_long} iterations from random phases"
    return Case(title, setting, batch, scale.n_long, None, [inputs], contenders, lambda *_: [], measured)
