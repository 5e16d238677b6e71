"""Sizes and signals of the GPU cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.gpu_clock import Clock
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda import fused_cuda
from torchmelinv.doctor.inputs import waveforms
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.transforms.stft import STFT

SECONDS = 10


class Scale(NamedTuple):
    """The size of the cases; None stands for their full size."""

    n_iter: int = 32
    n_long: int = 100  # iterations after which results are compared by their scores only
    n_frames: int | None = None
    max_items: int = 2**31


FULL = Scale()
TINY = Scale(n_iter=2, n_long=2, n_frames=10, max_items=2)


class Setting(NamedTuple):
    """An STFT convention at a sample rate."""

    sample_rate: int
    n_fft: int
    hop_length: int

    @property
    def stft(self) -> STFTConvention:
        sizes = {"n_fft": self.n_fft, "hop_length": self.hop_length}
        return STFTConvention(**sizes, padding="center_reflect")

    @property
    def family(self) -> str:
        """The kernels that the library uses for a step."""
        return "fused" if self.n_fft in fused_cuda.SIZES else "pairs"

    def shape(self, batch: int, scale: Scale) -> tuple[int, int]:
        """Return the number of items and frames of 10 s."""
        n_frames = scale.n_frames or 1 + SECONDS * self.sample_rate // self.hop_length
        return min(batch, scale.max_items), n_frames

    def __str__(self) -> str:
        return f"{self.n_fft}/{self.hop_length} {self.sample_rate / 1000:g}k"


MAIN = Setting(22050, 1024, 256)
SETTINGS = (MAIN, Setting(24000, 1024, 256), Setting(44100, 2048, 512), Setting(16000, 400, 160))


def magnitudes(
    setting: Setting, items: int, n_frames: int, device: torch.device, seed: int
) -> Tensor:
    """Return magnitudes (items, n_freqs, n_frames).

    Their memory is time-major, as torch.stft returns it, which suits all implementations.
    """
    n_samples = setting.stft.n_samples(n_frames)
    return STFT(setting.stft)(waveforms(items, n_samples, setting.sample_rate, device, seed)).abs()


def tensor_bytes(inputs: Any) -> int:
    """Return the bytes of all tensors in nested tuples and targets of problems, each once."""
    return sum(_sizes(inputs).values())


def _sizes(inputs: Any) -> dict[int, int]:
    """Return bytes by address."""
    if isinstance(inputs, Tensor):
        return {inputs.data_ptr(): inputs.numel() * inputs.element_size()}
    parts = inputs.target if isinstance(inputs, PhaseProblem) else inputs
    if not isinstance(parts, tuple):
        return {}
    return {address: size for part in parts for address, size in _sizes(part).items()}


def input_sets(clock: Clock, make: Callable[[int], Any]) -> list[Any]:
    """Return inputs by seed, as many sets as it takes to leave nothing in the cache."""
    first = make(0)
    return [first, *map(make, range(1, clock.n_sets(tensor_bytes(first))))]
