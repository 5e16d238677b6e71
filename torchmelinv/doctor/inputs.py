"""Signals of real size, and one step of an iteration on them: for checks and benchmarks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.cuda.backend import BackendName, backend
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim, AcceleratedState
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.restart import no_distance
from torchmelinv.phase.target import MagnitudeTarget, MelData
from torchmelinv.synthetic_voice import signal
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

NOISE = 1e-3  # of full scale, added to the voice: no bin is exactly silent, no two items are equal
MOMENTUM = 0.99
FAST = AcceleratedGriffinLim(MOMENTUM, MOMENTUM, 1.0)  # fast Griffin-Lim as a special case
DEFAULT = AcceleratedGriffinLim()  # the method in `MelConsistent()`


@functools.lru_cache(maxsize=4)
def _voice(sample_rate: int) -> Tensor:
    return signal(sample_rate=sample_rate)


def waveforms(
    items: int, n_samples: int, sample_rate: int, device: torch.device, seed: int
) -> Tensor:
    """Return the demo's voice (items, n_samples).

    Each item has its own offset, level and noise.
    """
    voice, index = _voice(sample_rate).to(device), torch.arange(items, device=device)[:, None]
    offsets = 4999 * (index + items * seed)
    positions = torch.arange(n_samples, device=device) + offsets
    generator = torch.Generator(device).manual_seed(seed)
    noise = torch.randn(items, n_samples, generator=generator, device=device)
    return 0.5 ** (index % 4) * (voice[positions % len(voice)] + NOISE * noise)


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
        values = MelSpectrogram(convention).linear_mel(signal)
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


def method_step(name: BackendName, method: AcceleratedGriffinLim) -> Callable[[Inputs], Tensor]:
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
