"""What the cases on a GPU are made of: sizes, signals, the least work of an iteration, and a case with its contenders."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.common import Record
from benchmarks.gpu_clock import Clock
from torchmelinv.conventions import FrameConvention
from torchmelinv.demo import signal
from torchmelinv.ops import fused_cuda
from torchmelinv.phase.method import PhaseProblem

SECONDS = 10
MOMENTUM = 0.99
NOISE = 1e-3  # of full scale, on the voice: no bin is exactly silent and no two items are alike


class Scale(NamedTuple):
    """How large the cases are; None: as large as they say."""

    n_iter: int = 32
    n_long: int = 100  # iterations after which the result, no longer the path, is compared
    n_frames: int | None = None
    most_items: int = 2**31


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

    @property
    def family(self) -> str:
        """The kernels that the library takes for a step."""
        return "fused" if self.n_fft in fused_cuda.SIZES else "pairs"

    def shape(self, batch: int, scale: Scale) -> tuple[int, int]:
        """Items and frames, of 10 s."""
        return min(batch, scale.most_items), scale.n_frames or 1 + SECONDS * self.sample_rate // self.hop_length

    def __str__(self) -> str:
        return f"{self.n_fft}/{self.hop_length} {self.sample_rate / 1000:g}k"


MAIN = Setting(22050, 1024, 256)
SETTINGS = (MAIN, Setting(24000, 1024, 256), Setting(44100, 2048, 512), Setting(16000, 400, 160))

WORDS = (
    "Bytes of an iteration, a frame, in float32: the magnitude (n_fft / 2 + 1 values; the mel's bands in its place), two signals "
    "read and one written (3 hops). Forward and backward: those again, the gradient of the magnitude read and written, and "
    "signals and their gradients, 4 (n_fft / 2 + 1) values and 8 hops in all. Operations: transforms as 2.5 n log2 n for n real "
    "samples, 3 n for windows, 7 a bin for imposing a magnitude, 4 a sample of the hop."
)


class Work(NamedTuple):
    """The least that an iteration must move and compute: each input read once, each output written once."""

    bytes: int
    flops: float

    def of(self, frames: int) -> Work:
        return Work(self.bytes * frames, self.flops * frames)


def _transform(n_fft: int) -> float:
    return 2.5 * n_fft * math.log2(n_fft)


def fast_griffin_lim(frame: FrameConvention) -> Work:
    """One frame: momentum (3 a sample), window, transform, |c|² and its root (4 a bin), A / |c| · c (3), and back."""
    flops = 2 * _transform(frame.n_fft) + 3 * frame.n_fft + 7 * frame.n_freqs + 4 * frame.hop_length
    return Work(4 * (frame.n_freqs + 3 * frame.hop_length), flops)


def mel_consistent(frame: FrameConvention, n_mels: int, sweeps: int) -> Work:
    """One frame: a sweep multiplies each bin by two filters' weights on the way there and back (8), and s by its factor (1).

    The usual method relaxes: 6 more a sample.
    """
    plain = fast_griffin_lim(frame)
    return Work(4 * (n_mels + 3 * frame.hop_length), plain.flops + 9 * sweeps * frame.n_freqs + 6 * frame.hop_length)


def entropic(n_freqs: int, n_mels: int, steps: float) -> Work:
    """One frame: the mel read and a magnitude written; a Newton step takes 16 a bin (exponent, exp, sums) and 8 a band."""
    return Work(4 * (n_freqs + n_mels), steps * (16 * n_freqs + 8 * n_mels))


def forward_and_backward(frame: FrameConvention) -> Work:
    """One frame, there and back: the way back transforms signal and gradient together and one spectrum back; 20 a bin."""
    there = fast_griffin_lim(frame)
    back = 3 * _transform(frame.n_fft) + 4 * frame.n_fft + 20 * frame.n_freqs + 8 * frame.hop_length
    return Work(4 * (4 * frame.n_freqs + 8 * frame.hop_length), there.flops + back)


Run = Callable[[Any], Tensor]  # a set of inputs -> the result
Make = Callable[[int], Run]  # by number of iterations


class Contender(NamedTuple):
    """One way to compute what a case asks for. It is made when its turn comes, and may raise then."""

    name: str
    make: Make
    graph: str | None = None  # as in `Cuda.prepared`
    kernels: tuple[str, ...] = ()  # of this project, which it must launch: its own word first, then those that it builds on
    parts: Callable[[Any], dict[str, Callable[[], object]]] | None = None  # of a call, whose peaks of memory are told apart

    @property
    def words(self) -> tuple[str, ...]:
        """Where the first of these broke the device, or hung, whatever has it among its own is not tried again."""
        words = self.kernels or (self.name.removesuffix(", graph"),)
        return (f"{words[0]}, graph", *words) if self.graph else words


def with_graph(name: str, make: Make, graph: str, *kernels: str) -> list[Contender]:
    """A contender as it is, and as a graph."""
    return [Contender(name, make, None, kernels), Contender(f"{name}, graph", make, graph, kernels)]


class Case(NamedTuple):
    """One thing to compute, on several sets of inputs, and who computes it."""

    title: str
    setting: Setting
    batch: int
    n_iter: int  # in one call
    work: Work | None  # of one iteration over all frames
    sets: Sequence[Any]
    contenders: Sequence[Contender]
    # (contender, its `make`, the first or last set, its result by what is timed) -> entries of `common.check`, or CheckFailed
    checks: Callable[[Contender, Make, int, Tensor], list[Record]]
    accuracy: Callable[[Contender], Record] | None = None  # in the place of times

    def facts(self) -> Record:
        """What the file says of it."""
        work = {} if self.work is None else {"work": {"bytes": self.work.bytes, "flops": round(self.work.flops)}}
        setting = {"setting": str(self.setting), **self.setting._asdict()}
        return {"title": self.title, **setting, "batch": self.batch, "n_iter": self.n_iter, "sets": len(self.sets), **work}


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


def _sizes(inputs: Any) -> dict[int, int]:
    """Bytes of all tensors in a (nested) tuple or a problem's target, by address."""
    if isinstance(inputs, Tensor):
        return {inputs.data_ptr(): inputs.numel() * inputs.element_size()}
    parts = inputs.target if isinstance(inputs, PhaseProblem) else inputs
    return {key: size for part in parts for key, size in _sizes(part).items()} if isinstance(parts, tuple) else {}


def input_sets(clock: Clock, make: Callable[[int], Any]) -> list[Any]:
    """Inputs by seed, as many as it takes to leave nothing in the cache."""
    first = make(0)
    return [first, *map(make, range(1, clock.n_sets(sum(_sizes(first).values()))))]
