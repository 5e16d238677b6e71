"""GPU case of a forward and backward pass through all iterations."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import gpu_work
from benchmarks.gpu_call_cases import FEW
from benchmarks.gpu_case import Case, Implementation, Make, Run, by_torchaudio
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MAIN, Scale, input_sets, magnitudes
from benchmarks.records import Record, check
from torchmelinv.cuda.backend import backend
from torchmelinv.doctor.errors import MAX_OFF, MEDIAN_ERROR, OFF, gradient_errors, norm_error
from torchmelinv.doctor.inputs import MOMENTUM, waveforms
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.phases import GriffinLim
from torchmelinv.transforms.stft import STFT

NEAR = 0.1  # radians from the true angles, where our gradient is checked
TORCHAUDIO_ERROR = 1e-6  # of the norm, in float64


def _forward(name: str, mode: str, n_iter: int, init: str | Tensor = "zero") -> Run:
    """Return fast Griffin-Lim: torchaudio's, or ours under a backend and with a gradient mode."""
    if name == "torchaudio":
        return by_torchaudio(MAIN, n_iter)

    def run(magnitude: Tensor) -> Tensor:
        method = GriffinLim(MOMENTUM)
        with backend(name):
            return magnitude_to_waveform(
                magnitude, MAIN.stft, method, n_iter, init=init, gradient=mode
            )

    return run


def _loss(forward: Run, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return a leaf and its loss, from a magnitude and the weights of the waveform's samples."""
    leaf = inputs[0].detach().requires_grad_()
    return leaf, (forward(leaf) * inputs[1]).sum()


def _gradient(forward: Run) -> Run:
    def run(inputs: tuple[Tensor, Tensor]) -> Tensor:
        leaf, loss = _loss(forward, inputs)
        return torch.autograd.grad(loss, leaf)[0]

    return run


def _parts(forward: Run, inputs: tuple[Tensor, Tensor]) -> dict[str, Callable[[], object]]:
    """Return forward and backward as two functions."""
    kept: list[Tensor] = []
    return {
        "forward": lambda: kept.extend(_loss(forward, inputs)),
        "backward": lambda: torch.autograd.grad(kept[1], kept[0]),
    }


def _gradient_checks(result: Tensor, expected: Tensor) -> list[Record]:
    """Compare our gradient with float64's."""
    median, off = gradient_errors(result, expected)
    what = f"after {FEW} iterations"
    return [
        check(
            f"median error of the gradient {what}, relative to the median value",
            median,
            at_most=MEDIAN_ERROR,
        ),
        check(
            f"share of gradient values with a relative error above {OFF:g} {what}",
            off,
            at_most=MAX_OFF,
        ),
    ]


def gradient(batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare forward and backward of all iterations, with the peaks of memory of each.

    From zero phase |c| is near 0 in some bins, where float32 cannot resolve the gradient. So ours
    is checked from angles near the true ones. torchaudio's, which always starts from zero phase,
    is checked in float64.
    """
    items, n_frames = MAIN.shape(batch, scale)
    n_samples, device = MAIN.stft.n_samples(n_frames), clock.device

    def normal(seed: int, *shape: int) -> Tensor:
        generator = torch.Generator(device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=device)

    def angles(seed: int) -> Tensor:
        signal = waveforms(items, n_samples, MAIN.sample_rate, device, seed)
        true = STFT(MAIN.stft)(signal).angle()
        return true + NEAR * normal(seed, *true.shape)

    def make_inputs(seed: int) -> tuple[Tensor, Tensor]:
        magnitude = magnitudes(MAIN, items, n_frames, device, seed)
        return magnitude, normal(seed, items, n_samples)

    sets = input_sets(clock, make_inputs)
    # name: (backend, gradient mode, labels of kernels)
    options: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "torchaudio": ("torchaudio", "", ()),
        "plain torch": ("reference", "unrolled", ()),
        "kernels": ("cuda", "unrolled", ("gradient", MAIN.family)),
        "kernels, checkpointed": ("cuda", "checkpointed", ("gradient", MAIN.family)),
    }

    def checks(implementation: Implementation, _: Make, index: int, result: Tensor) -> list[Record]:
        name, mode, _labels = options[implementation.name]
        what = f"values of the gradient of {scale.n_iter} iterations that are not finite"
        entries = [check(what, float((~result.isfinite()).sum()), at_most=0)]
        inputs = sets[index]
        double = (inputs[0].double(), inputs[1].double())
        init: str | Tensor = "zero" if name == "torchaudio" else angles(index)
        expected = _gradient(_forward("reference", "unrolled", FEW, init))(double)
        few = _gradient(_forward(name, mode, FEW, init))
        if name != "torchaudio":
            return [*entries, *_gradient_checks(few(inputs), expected)]
        error = norm_error(few(double), expected)
        what = f"relative error of the gradient after {FEW} iterations, float64"
        return [*entries, check(what, error, at_most=TORCHAUDIO_ERROR)]

    implementations = []
    for label, (name, mode, kernels) in options.items():
        forward = functools.partial(_forward, name, mode)
        implementations.append(
            Implementation(
                label,
                lambda n_iter, forward=forward: _gradient(forward(n_iter)),
                None,
                kernels,
                lambda inputs, forward=forward: _parts(forward(scale.n_iter), inputs),
            )
        )
    title = (
        f"forward and backward of {scale.n_iter} iterations of fast Griffin-Lim, {MAIN}, "
        f"batch {batch}"
    )
    work = gpu_work.forward_and_backward(MAIN.stft).of(items * n_frames)
    return Case(title, MAIN, batch, scale.n_iter, work, sets, implementations, checks)
