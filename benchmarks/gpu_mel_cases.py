"""The cases around the mel: the mel-consistent iteration, the entropic inverse, and a way back through all iterations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torchaudio
from torch import Tensor

import torchmelinv as tmi
from benchmarks import gpu_model
from benchmarks.common import Record, check
from benchmarks.gpu_cases import FEW, MOMENTUM, facts, torchaudio_run
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import (
    MAIN,
    Case,
    Contender,
    Run,
    Scale,
    batch_of,
    magnitudes,
    norm_distance,
    peak_distance,
    size_of,
    waveforms,
)
from torchmelinv import functional
from torchmelinv.frame import Frame
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.ops.backend import backend
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem

PRESET = "hifigan_22k"
MEL_STEP_ERROR = 1e-4  # of the peak: quiet bands are multiplied up
MAGNITUDE_ERROR = 1e-4  # of the norm, of an entropic magnitude from float64's
OWN_RESIDUAL, PEERS_RESIDUAL = 1e-5, 0.5  # ‖Ms − m‖ / ‖m‖; the peer solves another problem
NEAR = 0.1  # radians from the true angles, where our gradient is checked
PEERS_GRADIENT_ERROR = 1e-6  # of the norm, in float64
# A norm would be that of the few values with a small |c|, which float32 does not know: so the median error, of the median value,
# and how many of the values are off by more than a hundredth of themselves and the median.
MEDIAN_ERROR, OFF, MOST_OFF = 1e-4, 1e-2, 0.05
USUAL = MelConsistent()


def _mel(items: int, n_frames: int, clock: Clock, seed: int) -> Tensor:
    """Linear mels (items, n_mels, n_frames) of the voice."""
    convention = tmi.preset(PRESET)
    signal = waveforms(items, convention.n_samples(n_frames), int(convention.sample_rate), clock.device, seed)
    return tmi.MelAnalyzer(convention).linear(signal).contiguous()


# One mel-consistent iteration beside one of fast Griffin-Lim


class MelInputs(NamedTuple):
    """Two problems of one size, each with its state in the midst of an iteration."""

    joint: PhaseProblem
    joint_state: Any
    plain: PhaseProblem
    plain_state: Any


def _problems(mel: Tensor, rows: Tensor) -> tuple[PhaseProblem, PhaseProblem]:
    convention = tmi.preset(PRESET)
    plan = Frame(convention).plan(rows.shape[1], convention.n_samples(rows.shape[1]), rows)
    wanted = USUAL.wanted(mel, tmi.MelFilterbank(convention), convention)
    target: Any = wanted.target(mel.mT.contiguous(), torch.ones_like(rows[:, :1, :1]))
    return PhaseProblem(target, plan, rows), PhaseProblem(MagnitudeTarget(rows), plan, rows)


@torch.no_grad()
def _mel_inputs(items: int, n_frames: int, clock: Clock, seed: int) -> MelInputs:
    convention = tmi.preset(PRESET)
    mel = _mel(items, n_frames, clock, seed)
    rows = entropic(mel, tmi.MelFilterbank(convention)).mT.contiguous()
    joint, plain = _problems(mel, rows)
    angles = 2 * torch.pi * torch.rand(rows.shape, generator=torch.Generator(rows.device).manual_seed(seed), device=rows.device)
    found: list[Any] = []
    for problem, method in ((joint, USUAL.method), (plain, GriffinLim(MOMENTUM))):
        with backend("reference"):
            found += [problem, method.step(problem, method.init(problem, torch.polar(rows, angles)))]
    return MelInputs(*found)


def _double(inputs: MelInputs) -> MelInputs:
    joint, plain = _problems(inputs.joint.target.values.mT.double(), inputs.plain.magnitude.double())
    states = [type(state)(*(each.double() for each in state)) for state in (inputs.joint_state, inputs.plain_state)]
    return MelInputs(joint, states[0], plain, states[1])


def _mel_step(name: str, joint: bool, _: int = 1) -> Run:
    @torch.no_grad()
    def run(inputs: MelInputs) -> Tensor:
        with backend(name):
            if joint:
                return USUAL.method.step(inputs.joint, inputs.joint_state).signal
            return GriffinLim(MOMENTUM).step(inputs.plain, inputs.plain_state).signal

    return run


def mel_iteration(batch: int, scale: Scale, clock: Clock) -> Case:
    """All as chains of a graph: the time of the device alone."""
    n_frames, items = MAIN.n_frames(scale), batch_of(batch, scale)
    first = _mel_inputs(items, n_frames, clock, 0)
    bytes_of_one = size_of(first.plain.magnitude, first.joint.target.values, *first.joint_state, *first.plain_state)
    sets = [first, *(_mel_inputs(items, n_frames, clock, seed) for seed in range(1, clock.n_sets(bytes_of_one)))]
    expected = functools.lru_cache(maxsize=4)(lambda index, joint: _mel_step("reference", joint)(_double(sets[index])))
    kinds = {"reference": "plain torch", "cuda": "kernels"}
    joints = {True: "mel-consistent", False: "fast Griffin-Lim"}
    names = {(name, joint): f"{kinds[name]}, {joints[joint]}" for name in kinds for joint in joints}

    def checks(contender: Contender, _: Callable[[int], Run], result: Callable[[int], Tensor]) -> list[Record]:
        joint = "mel" in contender.name
        what = "distance of a step from float64, of the peak"
        apart = [peak_distance(result(index), expected(index, joint)) for index in (0, len(sets) - 1)]
        return [check(what, each, at_most=MEL_STEP_ERROR if joint else 1e-5) for each in apart]

    frames, bands = items * n_frames, first.joint.target.values.shape[-1]
    work = {
        True: gpu_model.mel_consistent(MAIN.frame, bands, USUAL.sweeps).of(frames),
        False: gpu_model.fast_griffin_lim(MAIN.frame).of(frames),
    }
    contenders = [
        Contender(named, functools.partial(_mel_step, *key), "chain", key[0] == "cuda", work=work[key[1]])
        for key, named in names.items()
    ]
    title = f"one mel-consistent iteration, {USUAL.sweeps} sweeps, beside one of fast Griffin-Lim, {PRESET}, batch {batch}"
    return Case(facts(title, MAIN, batch, n_frames, preset=PRESET), 1, work[True], sets, contenders, checks)


# The entropic inverse


def inverse(batch: int, scale: Scale, clock: Clock) -> Case:
    """Mels to magnitudes. torchaudio's least squares give other magnitudes, farther from the mel: its residual stands by."""
    n_frames, items = MAIN.n_frames(scale), batch_of(batch, scale)
    convention = tmi.preset(PRESET)
    filterbank = tmi.MelFilterbank(convention)
    first = _mel(items, n_frames, clock, 0)
    sets = [first, *(_mel(items, n_frames, clock, seed) for seed in range(1, clock.n_sets(size_of(first))))]
    peer = torchaudio.transforms.InverseMelScale(
        convention.n_freqs, convention.n_mels, int(convention.sample_rate), convention.f_min, convention.f_max,
        norm=convention.filter_norm, mel_scale=convention.mel_scale,
    ).to(clock.device)  # fmt: skip

    def by(name: str, _: int = 1) -> Run:
        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            with backend(name):
                return entropic(mel, filterbank)

        return run

    expected = functools.lru_cache(maxsize=2)(lambda index: by("reference")(sets[index].double()))

    def checks(contender: Contender, _: Callable[[int], Run], result: Callable[[int], Tensor]) -> list[Record]:
        own, found, what = contender.name != "torchaudio InverseMelScale", [], "residual ‖Ms − m‖ / ‖m‖"
        for index in (0, len(sets) - 1):
            magnitude = result(index)
            residual = norm_distance(filterbank(magnitude.double()), sets[index].double())
            found.append(check(what, residual, at_most=OWN_RESIDUAL if own else PEERS_RESIDUAL))
            if own:
                apart = norm_distance(magnitude, expected(index))
                found.append(check("distance from float64's magnitude, of the norm", apart, at_most=MAGNITUDE_ERROR))
        return found

    @torch.no_grad()
    def by_peer(mel: Tensor) -> Tensor:
        return peer(mel)

    contenders = [
        Contender("torchaudio InverseMelScale", lambda _: by_peer),
        Contender("plain torch", functools.partial(by, "reference")),
        Contender("kernels", functools.partial(by, "cuda"), None, True),
        Contender("kernels, graph", functools.partial(by, "cuda"), "each", True),
    ]
    steps = float(entropic_solve(sets[0], filterbank).steps.double().mean())
    work = gpu_model.entropic(convention.n_freqs, convention.n_mels, steps).of(items * n_frames)
    title = f"entropic magnitude of {items * n_frames} frames, {PRESET}"
    record = facts(title, MAIN, batch, n_frames, preset=PRESET, newton_steps=round(steps, 2))
    return Case(record, 1, work, sets, contenders, checks)


# There and back


class GradientInputs(NamedTuple):
    """A magnitude (items, n_freqs, n_frames), and what the waveform is multiplied by to make a loss."""

    magnitude: Tensor
    weights: Tensor

    def double(self) -> GradientInputs:
        return GradientInputs(*(each.double() for each in self))


def _forward(forward: Run, inputs: GradientInputs) -> tuple[Tensor, Tensor]:
    leaf = inputs.magnitude.detach().requires_grad_()
    return leaf, (forward(leaf) * inputs.weights).sum()


def _gradient(forward: Run) -> Run:
    def run(inputs: GradientInputs) -> Tensor:
        leaf, loss = _forward(forward, inputs)
        loss.backward()
        assert leaf.grad is not None
        return leaf.grad

    return run


def _forward_by(name: str, mode: str, n_iter: int, start: str | Tensor = "zero") -> Run:
    if name == "torchaudio":
        return torchaudio_run(MAIN, n_iter)

    def run(magnitude: Tensor) -> Tensor:
        with backend(name):
            return functional.fast_griffin_lim(magnitude, MAIN.frame, n_iter, MOMENTUM, start=start, gradient=mode)

    return run


def gradient(batch: int, scale: Scale, clock: Clock) -> Case:
    """Forward and backward of all iterations, and the most memory that each of the two takes.

    From zero phase |c| is near 0 somewhere, and float32 does not know the gradient there: ours is checked from angles near the
    true ones. torchaudio's, which starts nowhere else, is checked in float64.
    """
    n_frames, items = MAIN.n_frames(scale), batch_of(batch, scale)

    def given(seed: int) -> GradientInputs:
        noise = torch.Generator(clock.device).manual_seed(seed)
        weights = torch.randn(items, MAIN.frame.n_samples(n_frames), generator=noise, device=clock.device)
        return GradientInputs(magnitudes(MAIN, items, n_frames, clock.device, seed), weights)

    def angles(seed: int) -> Tensor:
        signal = waveforms(items, MAIN.frame.n_samples(n_frames), MAIN.sample_rate, clock.device, seed)
        true = Frame(MAIN.frame).analyse(signal).angle()
        noise = torch.Generator(clock.device).manual_seed(seed)
        return true + NEAR * torch.randn(true.shape, generator=noise, device=clock.device)

    first = given(0)
    sets = [first, *(given(seed) for seed in range(1, clock.n_sets(size_of(*first))))]

    def memory(name: str, mode: str) -> Callable[[Clock, Any], Record]:
        def measured(clock: Clock, inputs: GradientInputs) -> Record:
            with clock.peak() as whole:
                with clock.peak() as there:
                    _, loss = _forward(_forward_by(name, mode, scale.n_iter), inputs)
                clock.new_peak()
                loss.backward()
            parts = {"forward_peak_bytes": there.bytes, "backward_peak_bytes": whole.bytes}
            return {"peak_bytes": _most(*parts.values()), **parts}

        return measured

    def checks(contender: Contender, _: Callable[[int], Run], result: Callable[[int], Tensor]) -> list[Record]:
        (name, mode), own, found, last = which[contender.name], contender.name != "torchaudio", [], len(sets) - 1
        for index in (0, last):
            start, double = angles(index) if own else "zero", sets[index].double()
            expected = _gradient(_forward_by("reference", "unrolled", FEW, start))(double)
            by = _gradient(_forward_by(name, mode, FEW, start))(sets[index] if own else double)
            error, size, after = (by.double() - expected).abs(), expected.abs(), f"after {FEW} iterations"
            if not own:
                what = f"distance of the gradient from float64's {after}, of the norm"
                found.append(check(what, norm_distance(by, expected), at_most=PEERS_GRADIENT_ERROR))
                continue
            middle = size.median()
            what = f"median error of the gradient {after}, of the median value"
            found.append(check(what, float(error.median() / middle), at_most=MEDIAN_ERROR))
            off = (~(error <= OFF * (size + middle))).double().mean()
            found.append(check(f"part of the gradient's values that are off by {OFF:g} {after}", float(off), at_most=MOST_OFF))
        broken = float((~result(last).isfinite()).sum())
        return [*found, check(f"values of the gradient of {scale.n_iter} iterations that are not finite", broken, at_most=0)]

    which = {
        "torchaudio": ("torchaudio", ""), "plain torch": ("reference", "unrolled"), "kernels": ("cuda", "unrolled"),
        "kernels, checkpointed": ("cuda", "checkpointed"),
    }  # fmt: skip
    contenders = [
        Contender(named, lambda n_iter, key=key: _gradient(_forward_by(*key, n_iter)), None, key[0] == "cuda", memory(*key))
        for named, key in which.items()
    ]
    title = f"forward and backward of {scale.n_iter} iterations of fast Griffin-Lim, {MAIN}, batch {batch}"
    work = gpu_model.forward_and_backward(MAIN.frame).of(items * n_frames)
    return Case(facts(title, MAIN, batch, n_frames), scale.n_iter, work, sets, contenders, checks)


def _most(*numbers: int | None) -> int | None:
    counted = [number for number in numbers if number is not None]
    return max(counted) if counted else None
