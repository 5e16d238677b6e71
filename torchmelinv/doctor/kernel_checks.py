"""The checks of all kernels: real sizes, forward and backward, against plain torch in float64."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.cuda import newton_cuda, nvrtc, spanning_forest_cuda, step_cuda
from torchmelinv.cuda.backend import BackendName, backend
from torchmelinv.cuda.step_cuda import TargetName
from torchmelinv.doctor.check import Bound, Check, Tensors, Trial
from torchmelinv.doctor.clock import Call
from torchmelinv.doctor.errors import (
    MAGNITUDE_ERROR,
    MAX_FAR,
    MAX_OFF,
    MEDIAN_ERROR,
    MEL_STEP_ERROR,
    STEP_ERROR,
    far_share,
    gradient_errors,
    norm_error,
    peak_error,
)
from torchmelinv.doctor.inputs import (
    DEFAULT,
    FAST,
    MOMENTUM,
    Inputs,
    method_step,
    step_inputs,
    waveforms,
)
from torchmelinv.doctor.peer import torchaudio_griffin_lim
from torchmelinv.errors import InputError
from torchmelinv.magnitude import as_magnitude_inverse
from torchmelinv.phase.initial_phase import initial_phase
from torchmelinv.phase.pghi import phase_steps
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.spanning_forest import integrate_angles
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.transforms.stft import STFT

MAIN, BY_PAIRS = "hifigan_22k", "whisper_80"
FUSED_SIZES = (1024, 2048, 512)  # n_fft of the fused kernels that are checked, most used first
TORCHAUDIO_ITERATIONS = 8
_GRADIENT_BOUNDS = {
    "median error of the gradient": Bound(lambda *pair: _gradient_error(0, *pair), MEDIAN_ERROR),
    "share of gradient values that are off": Bound(
        lambda *pair: _gradient_error(1, *pair), MAX_OFF
    ),
}


class Scale(NamedTuple):
    """The size of the inputs."""

    seconds: float = 10.0
    batches: tuple[int, ...] = (1, 16)


REAL = Scale()


def _gradient_error(index: int, result: Tensors, exact: Tensors) -> float:
    """Return the largest of an error of several gradients, as `gradient_errors` orders them."""
    return max(gradient_errors(*pair)[index] for pair in zip(result, exact, strict=True))


def _first(error: Callable[[Tensor, Tensor], float], allowed: float) -> Bound:
    """Return the bound of an error of the first tensor."""
    return Bound(lambda result, exact: error(result[0], exact[0]), allowed)


def _convention(name: str, n_fft: int | None) -> MelConvention:
    """Return a preset, or with `n_fft` one of that size and a hop of a quarter."""
    convention = preset(name)
    if n_fft is None:
        return convention
    n_mels = min(convention.n_mels, n_fft // 12)  # no empty filters
    return convention.replace(n_fft=n_fft, win_length=n_fft, hop_length=n_fft // 4, n_mels=n_mels)


def _shapes(
    convention: STFTConvention, rate: float, scale: Scale
) -> Iterator[tuple[str, int, int]]:
    """Yield names, batches and frames."""
    n_frames = 1 + int(scale.seconds * rate / convention.hop_length)
    for batch in scale.batches:
        name = f"{convention.n_fft}/{convention.hop_length}, {scale.seconds:g} s, batch {batch}"
        yield name, batch, n_frames


def _by_torchaudio(inputs: Inputs, convention: STFTConvention) -> Call:
    """Return torchaudio's Griffin-Lim on the magnitude of a step."""
    magnitude = inputs.problem.target.values.mT
    run = torchaudio_griffin_lim(convention, TORCHAUDIO_ITERATIONS, MOMENTUM)
    return lambda: run(magnitude)


def _step_trials(
    name: str, n_fft: int | None, target: TargetName, scale: Scale, device: torch.device
) -> Iterator[Trial]:
    """Yield one iteration toward a magnitude or a mel."""
    mel_convention = _convention(name, n_fft)
    convention = mel_convention if target == "mel" else mel_convention.stft
    method, limit = (DEFAULT, MEL_STEP_ERROR) if target == "mel" else (FAST, STEP_ERROR)
    rate = mel_convention.sample_rate
    for shape, batch, n_frames in _shapes(mel_convention.stft, rate, scale):
        inputs = step_inputs(convention, int(rate), batch, n_frames, device, 0)

        def run(name: BackendName, inputs: Inputs) -> Callable[[], Tensors]:
            step = method_step(name, method)
            return lambda: (step(inputs),)

        by_torchaudio = functools.partial(_by_torchaudio, inputs, mel_convention.stft)
        yield Trial(
            shape,
            run("cuda", inputs),
            run("reference", inputs),
            run("reference", inputs.double(convention)),
            {"error of a step, relative to the peak": _first(peak_error, limit)},
            captured=True,
            torchaudio=None if target == "mel" else by_torchaudio,
            torchaudio_calls=TORCHAUDIO_ITERATIONS,
        )


def _projection_gradients(
    name: BackendName, problem: PhaseProblem, signal: Tensor, weights: Tensor
) -> Tensors:
    """Return the gradients of a weighted sum of the projection, from the signal and magnitude."""
    leaves = tuple(each.detach().requires_grad_() for each in (signal, problem.target.values))
    with torch.enable_grad(), backend(name):
        of_leaf = dataclasses.replace(problem, target=MagnitudeTarget(leaves[1]))
        loss = (of_leaf.consistent_projection(leaves[0]) * weights).sum()
    return torch.autograd.grad(loss, leaves)


def _projection_trials(
    name: str, n_fft: int | None, scale: Scale, device: torch.device
) -> Iterator[Trial]:
    """Yield forward and backward of the projection onto a magnitude."""
    convention = _convention(name, n_fft)
    for shape, batch, n_frames in _shapes(convention.stft, convention.sample_rate, scale):
        rate = int(convention.sample_rate)
        inputs = step_inputs(convention.stft, rate, batch, n_frames, device, 1)
        double = inputs.double(convention.stft)
        weights = torch.randn_like(inputs.state.signal)
        arguments = inputs.problem, inputs.state.signal, weights
        exact = double.problem, double.state.signal, weights.double()
        yield Trial(
            shape,
            functools.partial(_projection_gradients, "cuda", *arguments),
            functools.partial(_projection_gradients, "reference", *arguments),
            functools.partial(_projection_gradients, "reference", *exact),
            _GRADIENT_BOUNDS,
        )


def _inverse_trials(
    method: str, with_gradient: bool, scale: Scale, device: torch.device
) -> Iterator[Trial]:
    """Yield a filterbank inverse, or its gradient, with filters of rank 80 and of rank 79."""
    inverse: Any = as_magnitude_inverse(method)
    bounds = {"error of the magnitude, relative to the norm": _first(norm_error, MAGNITUDE_ERROR)}
    for preset_name in (MAIN, BY_PAIRS):
        convention = preset(preset_name)
        mel_spectrogram = MelSpectrogram(convention)
        for shape, batch, n_frames in _shapes(convention.stft, convention.sample_rate, scale):
            n_samples = convention.n_samples(n_frames)
            signal = waveforms(batch, n_samples, int(convention.sample_rate), device, 2)
            mel = mel_spectrogram.linear_mel(signal).contiguous()
            weights = torch.randn_like(mel[:, :1])

            def run(
                name: BackendName, mel: Tensor, weights: Tensor, bank: Any = mel_spectrogram
            ) -> Tensors:
                leaf = mel.detach().requires_grad_(with_gradient)
                with torch.set_grad_enabled(with_gradient), backend(name):
                    spectrum = inverse(leaf, bank.filterbank)
                    if not with_gradient:
                        return (spectrum,)
                    return torch.autograd.grad((spectrum * weights).sum(), leaf)

            yield Trial(
                f"{preset_name}, {shape}",
                functools.partial(run, "cuda", mel, weights),
                functools.partial(run, "reference", mel, weights),
                functools.partial(run, "reference", mel.double(), weights.double()),
                _GRADIENT_BOUNDS if with_gradient else bounds,
            )


def _magnitudes(scale: Scale, device: torch.device) -> Iterator[tuple[str, STFTConvention, Tensor]]:
    """Yield shapes, conventions and magnitudes (items, frames, n_freqs)."""
    for convention in (preset(MAIN), preset(BY_PAIRS)):
        stft, rate = convention.stft, int(convention.sample_rate)
        for shape, batch, n_frames in _shapes(stft, rate, scale):
            signal = waveforms(batch, stft.n_samples(n_frames), rate, device, 3)
            yield shape, stft, STFT(stft)(signal).abs().mT.contiguous()


def _initial_phase_trials(init: str, scale: Scale, device: torch.device) -> Iterator[Trial]:
    """Yield the initial phase of a magnitude."""
    for shape, stft, magnitude in _magnitudes(scale, device):

        def run(name: BackendName, magnitude: Tensor, stft: STFTConvention = stft) -> Tensors:
            with backend(name):
                return (initial_phase(magnitude.mT, stft, init),)

        yield Trial(
            shape,
            functools.partial(run, "cuda", magnitude),
            functools.partial(run, "reference", magnitude),
            functools.partial(run, "reference", magnitude.double()),
            {"share of angles that are far": _first(far_share, MAX_FAR)},
        )


def _forest_trials(scale: Scale, device: torch.device) -> Iterator[Trial]:
    """Yield the angles along the maximum spanning forest of given differences."""
    for shape, stft, magnitude in _magnitudes(scale, device):
        steps = tuple(each.contiguous() for each in phase_steps(magnitude, stft))

        def kernel(steps: Tensors = steps) -> Tensors:
            if reason := nvrtc.unsupported_reason(steps[0]):
                raise InputError(reason)
            return (spanning_forest_cuda.integrate_angles(*steps),)

        def plain(steps: Tensors) -> Tensors:
            return (integrate_angles(*steps),)

        yield Trial(
            shape,
            kernel,
            functools.partial(plain, steps),
            functools.partial(plain, tuple(each.double() for each in steps)),
            {"share of angles that are far": _first(far_share, MAX_FAR)},
        )


def _checks_of_steps(name: str, n_fft: int | None, scale: Scale) -> Iterator[Check]:
    """Yield the checks of steps at one n_fft of the fused kernels, or by pairs of frames."""
    targets: tuple[TargetName, ...] = ("magnitude", "mel")
    for target in targets:
        kind = step_cuda.kind_of(target, n_fft)
        yield Check(kind, kind, functools.partial(_step_trials, name, n_fft, target, scale))
    kind = step_cuda.kind_of("magnitude", n_fft)
    trials = functools.partial(_projection_trials, name, n_fft, scale)
    yield Check(f"gradient of {kind}", kind, trials)


def kernel_checks(scale: Scale = REAL) -> list[Check]:
    """Return the checks of all kernels.

    Args:
        scale: The size of the inputs.

    Returns:
        The checks, those of the default inversion first; those of one operation decide about it
        together.
    """
    main, *others = FUSED_SIZES
    checks = list(_checks_of_steps(MAIN, main, scale))
    for method in newton_cuda.METHODS:
        for prefix, with_gradient in (("", False), ("gradient of ", True)):
            trials = functools.partial(_inverse_trials, method, with_gradient, scale)
            checks.append(Check(f"{prefix}{method}", "a filterbank inverse", trials))
    for init in ("spsi", "pghi"):
        trials = functools.partial(_initial_phase_trials, init, scale)
        checks.append(Check(init, f"init {init!r}", trials))
    trials = functools.partial(_forest_trials, scale)
    checks.append(Check("spanning forest of pghi", "init 'pghi'", trials))
    checks += _checks_of_steps(BY_PAIRS, None, scale)
    for n_fft in others:
        checks += _checks_of_steps(MAIN, n_fft, scale)
    return checks
