"""Any number of mels to waveforms, as a stream: loaded ahead, batched by length, and each one's failure kept to itself.

Memory does not grow with the number of mels: what has been yielded is forgotten.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MfccConvention
from torchmelinv.errors import TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.ahead import ahead
from torchmelinv.jobs.batches import Limit, batches, stacked
from torchmelinv.jobs.load import Item, Source, load
from torchmelinv.jobs.memory import bytes_per_frame, out_of_memory, usual_budget
from torchmelinv.level import expand
from torchmelinv.measure.distance import mel_error_db
from torchmelinv.ops.checks import check_number, check_whole

_TOGETHER = 64  # mels in a batch on an accelerator; more no longer make it faster
_LOADERS = 2  # threads


@dataclasses.dataclass(frozen=True, eq=False)
class Inverted:
    """What became of one mel. Where `error` stands there is no waveform."""

    name: Any  # as it came: the path, or what stood beside the mel
    waveform: Tensor | None = None  # (n_samples,) float32 on the CPU
    frames: int = 0
    mel_error_db: float = math.nan  # of the waveform's own mel against the mel that came, both linear
    index: int = 0  # among the mels of this name, whose leading dimensions are flattened
    count: int = 1
    warnings: tuple[str, ...] = ()
    error: str | None = None


def _failed(item: Item, reason: str) -> Inverted:
    return Inverted(item.name, None, item.frames, math.nan, item.index, item.count, item.warnings, reason)


class _Bench:
    """An inverter at work on one device, and what a batch may hold there."""

    def __init__(self, inverter: MelInverter, device: torch.device, limit: Limit) -> None:
        self.device, self.limit = device, limit
        self.inverter = copy.copy(inverter)
        self.inverter.check = False  # the loaders have looked
        self.analyzer = MelAnalyzer(inverter.convention)

    def waveforms(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Of each mel (n_mels, n_frames), on the device."""
        if self.device.type == "cpu":  # one at a time is the fastest there, and without padding bit for bit what each gives alone
            return [self.inverter(mel) for mel in mels]
        counts = [mel.shape[-1] for mel in mels]
        together = self.inverter(stacked(mels, max(counts)), lengths=torch.tensor(counts, device=self.device))
        ends = map(self.inverter.convention.n_samples, counts)
        return [waveform[:end] for waveform, end in zip(together, ends, strict=True)]

    def mel_error(self, waveform: Tensor, mel: Tensor) -> float:
        """Over the frames that both have."""
        if self.analyzer.convention.n_frames(waveform.shape[-1]) == 0:
            return math.nan
        result, wanted = self.analyzer.linear(waveform), expand(mel, self.analyzer.convention.level)
        frames = min(result.shape[-1], wanted.shape[-1])
        return float(mel_error_db(result[..., :frames], wanted[..., :frames]))

    def finish(self, items: Sequence[Item]) -> list[Inverted]:
        """A batch, inverted; where it cannot be, its halves, down to single items, and later batches hold no more than these."""
        done = []
        try:
            with torch.inference_mode():
                mels = [item.mel.to(self.device) for item in items]
                for mel, waveform in zip(mels, self.waveforms(mels), strict=True):
                    done.append((waveform.cpu(), self.mel_error(waveform, mel)))
            return [  # cloned, because autograd takes no tensor of inference mode
                Inverted(item.name, waveform.clone(), item.frames, error_db, item.index, item.count, item.warnings)
                for item, (waveform, error_db) in zip(items, done, strict=True)
            ]
        except TorchmelinvError as error:
            reason = str(error)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            reason = "there is not enough memory to invert it"
            self.limit.frames = max(1, len(items) * max(item.frames for item in items) // 2)
        # Only here, where the error is gone, is what the attempt held free.
        mels, done = [], []
        if len(items) == 1:
            return [_failed(items[0], reason)]
        middle = len(items) // 2
        return [*self.finish(items[:middle]), *self.finish(items[middle:])]


def invert_many(
    sources: Iterable[Source], inverter: MelInverter, *, device: torch.device | str = "cpu", batch: int | None = None,
    memory: float | None = None, mfcc: MfccConvention | None = None,
) -> Generator[Inverted, None, None]:
    """Invert each of `sources`: paths of mel files, or pairs of a name and a path or a mel (…, n_mels, n_frames).

    Yields one `Inverted` for each mel or broken source, whose `error` says why. On the CPU they come in their own order and are
    bit for bit what `inverter` gives for each alone. An accelerator gets batches of like length and yields them as these fill
    up; what an item's company changes there is rounding. `batch`: at most so many mels together; `memory`: at most about so many
    bytes for them (by default 64 mels and half of what is free). A batch that does not fit is halved and tried again. With `mfcc`
    the sources hold MFCCs, as in `mfcc_to_waveform`, of mels of the inverter's convention. Computes in float32, in the caller's
    thread, while two others load what comes next.
    """
    device = torch.device(device)
    if batch is not None:
        check_whole("batch", batch, 1)
    if memory is not None:
        check_number("memory", memory, 1)
    most = batch or (1 if device.type == "cpu" else _TOGETHER)
    frames = int((memory or usual_budget(device)) / bytes_per_frame(inverter.convention))
    return _stream(sources, _Bench(inverter, device, Limit(most, max(1, frames))), mfcc)


def _stream(sources: Iterable[Source], bench: _Bench, mfcc: MfccConvention | None) -> Generator[Inverted, None, None]:
    broken: deque[Inverted] = deque()
    read, most = functools.partial(load, convention=bench.inverter.convention, mfcc=mfcc), 2 * bench.limit.items + 2

    def sound() -> Iterator[Item]:
        for items in ahead(read, sources, workers=_LOADERS, most=most):
            yield from (item for item in items if item.error is None)
            broken.extend(_failed(item, item.error) for item in items if item.error is not None)

    for items in batches(sound(), lambda item: item.frames, bench.limit):
        done = bench.finish(items)
        while broken:
            yield broken.popleft()
        yield from done
    yield from broken
