"""GPU cases of single iterations, with kernels chosen by the library and family by family."""

from __future__ import annotations

import functools
import itertools
from typing import Any
from unittest import mock

import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import gpu_work
from benchmarks.gpu_case import Case, Implementation, Make, NotSupported, Run, with_graph
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import Scale, Setting, input_sets
from benchmarks.records import Record, check
from torchmelinv.cuda import fused_cuda, nvrtc, pairs_cuda
from torchmelinv.cuda.layout import MelUpdate
from torchmelinv.doctor.errors import MEL_STEP_ERROR, STEP_ERROR, peak_error
from torchmelinv.doctor.inputs import DEFAULT, FAST, Inputs, method_step, step_inputs
from torchmelinv.phases import AcceleratedGriffinLim, MelConsistent

PRESET = "hifigan_22k"
FAMILIES: dict[str, Any] = {"fused": fused_cuda, "pairs": pairs_cuda}


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
