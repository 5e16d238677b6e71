"""GPU cases of single iterations, with kernels chosen by the library and family by family."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import gpu_work
from benchmarks.gpu_case import (
    Case,
    Implementation,
    Make,
    NotSupported,
    Run,
    peak_error,
    with_graph,
)
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MOMENTUM, Scale, Setting, input_sets, waveforms
from benchmarks.records import Record, check
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.cuda import fused_cuda, nvrtc, pairs_cuda
from torchmelinv.cuda.backend import backend
from torchmelinv.cuda.layout import MelUpdate
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedState
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.restart import no_distance
from torchmelinv.phase.target import MagnitudeTarget, MelData
from torchmelinv.phases import AcceleratedGriffinLim, MelConsistent
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

PRESET = "hifigan_22k"
# Bounds of the error against float64, relative to the peak: 15 to 30 times that of plain torch in
# float32, which has 3.3e-7 and 2e-7.
STEP_ERROR, MEL_STEP_ERROR = 1e-5, 5e-6
FAST = AcceleratedGriffinLim(MOMENTUM, MOMENTUM, 1.0)  # fast Griffin-Lim as a special case
DEFAULT = AcceleratedGriffinLim()  # the method in `MelConsistent()`
FAMILIES: dict[str, Any] = {"fused": fused_cuda, "pairs": pairs_cuda}


class Inputs(NamedTuple):
    """A problem, and a state in the middle of its iteration."""

    problem: PhaseProblem
    state: AcceleratedState

    def double(self, convention: STFTConvention) -> Inputs:
        """Return the inputs in float64."""
        state = AcceleratedState(*(each.double() for each in self.state))
        target: Any = self.problem.target
        values = target.values.double()
        if isinstance(convention, MelConvention):
            values = target.tables.edges.mel(values)  # without the bands at the edges
        return Inputs(make_problem(convention, values), state)


def make_problem(convention: STFTConvention, values: Tensor) -> PhaseProblem:
    """Return the problem of a magnitude (items, frames, n_freqs).

    With a mel convention, the problem of a linear mel (items, frames, n_mels).
    """
    n_frames = values.shape[1]
    plan = STFT(convention).plan(n_frames, convention.n_samples(n_frames), values)
    if not isinstance(convention, MelConvention):
        return PhaseProblem(MagnitudeTarget(values), plan)
    scale = torch.ones_like(values[:, :1, :1])
    mel = MelData(values, scale, _filterbank(convention), convention)
    return PhaseProblem(MelConsistent().make_target(values, mel), plan)


@functools.lru_cache(maxsize=1)
def _filterbank(convention: MelConvention) -> MelFilterbank:
    return MelFilterbank(convention)  # only one, because tables are cached with it


def step_inputs(
    convention: STFTConvention,
    sample_rate: int,
    items: int,
    n_frames: int,
    device: torch.device,
    seed: int,
) -> Inputs:
    """Return a problem, and two signals: the true one with noise 20 dB below it.

    Their phases are near the true ones. With a mel convention, the target is the mel.
    """
    signal = waveforms(items, convention.n_samples(n_frames), sample_rate, device, seed)
    if isinstance(convention, MelConvention):
        values = tmi.MelSpectrogram(convention).linear_mel(signal)
    else:
        values = STFT(convention)(signal).abs()
    generator = torch.Generator(device).manual_seed(1000 + seed)
    scale = 0.1 * signal.square().mean(-1, keepdim=True).sqrt()
    last, previous = (
        signal + scale * torch.randn(signal.shape, generator=generator, device=device)
        for _ in range(2)
    )
    problem = make_problem(convention, values.mT.contiguous())
    return Inputs(problem, AcceleratedState(last, last, previous, no_distance(last)))


def method_step(name: str, method: AcceleratedGriffinLim) -> Run:
    """Return a step as the loop runs it, under a backend."""
    # A problem keeps the backend of its first step, so each implementation needs its own copies.
    copies: dict[PhaseProblem, PhaseProblem] = {}

    @torch.no_grad()
    def run(inputs: Inputs) -> Tensor:
        if inputs.problem not in copies:
            copies[inputs.problem] = dataclasses.replace(inputs.problem)
        with backend(name):
            return method.step(copies[inputs.problem], inputs.state).relaxed

    return run


def kernel_step(name: str, method: AcceleratedGriffinLim) -> Run:
    """Return a step by one family of kernels."""
    family = FAMILIES[name]

    @torch.no_grad()
    def run(inputs: Inputs) -> Tensor:
        layout, target = inputs.problem.plan.layout, inputs.problem.target
        reason = target.unsupported_reason() or nvrtc.unsupported_reason(inputs.state.relaxed)
        if reason is None:
            args = target.cuda_args()
            update = args if isinstance(args, MelUpdate) else None
            reason = family.unsupported_reason(layout, update)
        if reason is not None:
            raise NotSupported(reason)
        t, t_previous = inputs.state.relaxed, inputs.state.previous
        numbers = (method.alpha, method.beta, method.gamma)
        return family.step(layout, args, t, t_previous, *numbers)[1]

    return run


def step_implementations(setting: Setting, method: AcceleratedGriffinLim) -> list[Implementation]:
    """Return the step in plain torch, by each family of kernels, then by the method itself."""
    words = ("update",) if method is DEFAULT else ()
    result = with_graph("plain torch", lambda _: method_step("reference", method), "chain")
    for name in FAMILIES:
        labels = (*(f"{name} {word}" for word in words), name)
        result += with_graph(
            f"{name} kernels", lambda _, name=name: kernel_step(name, method), "chain", *labels
        )
    labels = ("step", *(f"{setting.family} {word}" for word in words), setting.family)
    return [
        *result,
        *with_graph("kernels", lambda _: method_step("cuda", method), "chain", *labels),
    ]


def step(
    setting: Setting, batch: int, scale: Scale, clock: Clock, preset: str | None = None
) -> Case:
    """Compare single iterations on inputs that are not in the cache.

    With a preset, this is the mel-consistent iteration of its mels, as `MelInverter` runs it.
    """
    items, n_frames = setting.shape(batch, scale)
    if preset is None:
        convention, method, limit = setting.stft, FAST, STEP_ERROR
        name, work = f"fast Griffin-Lim, {setting}", gpu_work.fast_griffin_lim(convention)
    else:
        convention, method, limit = tmi.preset(preset), DEFAULT, MEL_STEP_ERROR
        name, inner_iter = f"mel-consistent inversion, {preset}", MelConsistent().inner_iter
        work = gpu_work.mel_consistent(convention, convention.n_mels, inner_iter)
    make = functools.partial(
        step_inputs, convention, setting.sample_rate, items, n_frames, clock.device
    )
    sets = input_sets(clock, make)

    @functools.lru_cache(maxsize=2)
    def expected(index: int) -> Tensor:
        return method_step("reference", method)(sets[index].double(convention))

    def checks(_: Implementation, __: Make, index: int, result: Tensor) -> list[Record]:
        error = peak_error(result, expected(index))
        return [check("error of a step, relative to the peak", error, at_most=limit)]

    title, work = f"one iteration of {name}, batch {batch}", work.of(items * n_frames)
    implementations = step_implementations(setting, method)
    return Case(title, setting, batch, 1, work, sets, implementations, checks)


def sweep(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare the fused step with other launch parameters.

    More multiprocessors to fill give shorter runs; fewer registers per thread let more blocks in.
    """
    case = step(setting, batch, scale, clock)

    def variant(multiprocessors: int, registers: int) -> Run:
        def kernel(*sizes: int) -> nvrtc.Kernel:
            return fused_cuda._kernel("fused.cu", "fused_step", *sizes, registers)

        changed = {"_multiprocessors": lambda _: multiprocessors, "_step_kernel": kernel}
        run = kernel_step("fused", FAST)
        return lambda inputs: mock.patch.multiple(fused_cuda, **changed)(run)(inputs)

    base = [each for each in case.implementations if each.name == "fused kernels, graph"]
    variants = [
        Implementation(
            f"{multiprocessors} multiprocessors, {registers} registers",
            lambda _, numbers=(multiprocessors, registers): variant(*numbers),
            "chain",
            ("fused",),
        )
        for multiprocessors, registers in itertools.product(
            (33, 66, 132, 264, 528), (80, 96, 112, 128, 144, 168, 255)
        )
    ]
    return case._replace(implementations=[*base, *variants])
