"""What the cases on a GPU are made of: sizes, signals, and the shape of a case with its contenders."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.common import CheckFailed, Record
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_model import Work
from torchmelinv.conventions import FrameConvention
from torchmelinv.demo import signal
from torchmelinv.frame import Frame
from torchmelinv.ops import nvrtc
from torchmelinv.ops.layout import Layout

SECONDS = 10
MOMENTUM = 0.99
NOISE = 1e-3  # of full scale, on the voice: no bin is exactly silent and no two items are alike
STEP_ERROR = 1e-5  # of the peak, one step from the float64 reference


class NotServed(CheckFailed):
    """A family of kernels that is not made for what a case asks for: no fault of its own."""


class Scale(NamedTuple):
    """How large the cases are; None: as large as they say."""

    n_iter: int = 32
    n_long: int = 100  # iterations after which the result, no longer the path, is compared
    n_frames: int | None = None
    most_items: int | None = None


FULL = Scale()
TINY = Scale(n_iter=2, n_long=2, n_frames=10, most_items=2)


class Setting(NamedTuple):
    """A frame convention at a sample rate."""

    sample_rate: int
    n_fft: int
    hop_length: int

    @property
    def frame(self) -> FrameConvention:
        return FrameConvention(n_fft=self.n_fft, hop_length=self.hop_length, padding="center_reflect")

    def n_frames(self, scale: Scale) -> int:
        """Frames of 10 s."""
        return scale.n_frames or 1 + SECONDS * self.sample_rate // self.hop_length

    def __str__(self) -> str:
        return f"{self.n_fft}/{self.hop_length} {self.sample_rate / 1000:g}k"


MAIN = Setting(22050, 1024, 256)
SETTINGS = (MAIN, Setting(24000, 1024, 256), Setting(44100, 2048, 512), Setting(16000, 400, 160))

Run = Callable[[Any], Tensor]  # a set of inputs -> the result


class Contender(NamedTuple):
    """One way to compute what a case asks for. It is made when its turn comes, and may raise then."""

    name: str
    make: Callable[[int], Run]  # by number of iterations
    graph: str | None = None  # as in `Cuda.prepared`
    kernels: bool = False  # it must launch kernels of this project, or it is not what it says
    memory: Callable[[Clock, Any], Record] | None = None  # where a peak of a call does not say enough
    work: Work | None = None  # where it is not the case's


class Case(NamedTuple):
    """One thing to compute, on several sets of inputs, and who computes it."""

    facts: Record  # title, setting, batch: what the file says of it
    n_iter: int  # in one call
    work: Work | None  # of one iteration over all frames
    sets: Sequence[Any]
    contenders: Sequence[Contender]
    # (contender, run of few iterations or None, result of what is timed by set) -> entries of `common.check`, or CheckFailed
    checks: Callable[[Contender, Callable[[int], Run], Callable[[int], Tensor]], list[Record]]
    timed: bool = True
    accuracy: Callable[[Contender], Record] | None = None


@functools.lru_cache(maxsize=4)
def _voice(sample_rate: int) -> Tensor:
    return signal(sample_rate=sample_rate)


def waveforms(items: int, n_samples: int, sample_rate: int, device: torch.device, seed: int) -> Tensor:
    """The demo's voice (items, n_samples), each item from another place, at another level and with noise of its own."""
    voice = _voice(sample_rate).to(device)
    places = torch.arange(n_samples, device=device) + 4999 * (torch.arange(items, device=device) + items * seed)[:, None]
    level = 0.5 ** (torch.arange(items, device=device) % 4)[:, None]
    noise = torch.randn(items, n_samples, generator=torch.Generator(device).manual_seed(seed), device=device)
    return level * (voice[places % len(voice)] + NOISE * noise)


def magnitudes(setting: Setting, items: int, n_frames: int, device: torch.device, seed: int) -> Tensor:
    """(items, n_freqs, n_frames), laid out in memory as torch.stft does: frame by frame, which is what serves all contenders."""
    frame = setting.frame
    return Frame(frame).analyse(waveforms(items, frame.n_samples(n_frames), setting.sample_rate, device, seed)).abs()


def batch_of(batch: int, scale: Scale) -> int:
    return min(batch, scale.most_items or batch)


def size_of(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def norm_distance(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; NaN where anything of it is."""
    return float(torch.linalg.vector_norm(found.double() - expected) / torch.linalg.vector_norm(expected))


def peak_distance(found: Tensor, expected: Tensor) -> float:
    """Largest distance, as part of the peak; NaN where anything is."""
    return float((found.double() - expected).abs().max() / expected.abs().max())


def kernel_module(name: str, layout: Layout) -> Any:
    """`fused_cuda` or `pairs_cuda` of torchmelinv.ops, if it serves this layout."""
    module = importlib.import_module(f"torchmelinv.ops.{name}_cuda")
    if layout.window.device.type != nvrtc.DEVICE:
        raise NotServed(f"the tensors are on {layout.window.device.type}, not on a CUDA device")
    reason = module.why_not(layout)
    if reason is not None:
        raise NotServed(reason)
    return module
