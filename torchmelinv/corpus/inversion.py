"""Streaming inversion of any number of mels.

Mels are loaded ahead, batched by length and inverted; an error affects only its own mel. Memory
does not grow with the number of mels: a yielded result is forgotten.
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

from torchmelinv._utils.available_memory import is_out_of_memory
from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MfccConvention
from torchmelinv.corpus.batching import BatchLimit, batch_by_length, pad_stack
from torchmelinv.corpus.loading import MelItem, MelSource, load_mels
from torchmelinv.corpus.memory import bytes_per_frame, default_budget, lack_of_memory
from torchmelinv.corpus.prefetching import prefetch
from torchmelinv.errors import TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics.distance import mel_error_db

__all__ = ["Inverted", "invert_many"]

_MAX_ITEMS = 64  # of a batch on an accelerator; larger ones are not faster
_LOADERS = 2  # threads


@dataclasses.dataclass(frozen=True, eq=False)
class Inverted:
    """The result for one mel: a waveform, or an error.

    Args:
        name: Name of the source: its path, or the name that was given with it.
        waveform: Waveform (n_samples,), or (channels, n_samples) of several channels, in float32 on
            the CPU; None with an error.
        n_frames: Number of frames of the mel.
        mel_error_db: Distance in dB between the linear mel of the waveform and the linear mel after
            its restoration, over all channels together.
        restored: Whether the restoration changed the mel.
        index: Index among the mels of the source, whose leading dimensions are flattened. The
            channels of one recording are one mel.
        count: Number of mels in the source.
        warnings: Doubts about the values of the mel.
        error: The reason why there is no waveform.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> result = next(tmi.invert_many([("silence", torch.full((80, 20), -11.5))], inverter))
        >>> result.name, result.n_frames, result.waveform.shape
        ('silence', 20, torch.Size([5120]))
    """

    name: Any
    waveform: Tensor | None = None
    n_frames: int = 0
    mel_error_db: float = math.nan
    restored: bool = False
    index: int = 0
    count: int = 1
    warnings: tuple[str, ...] = ()
    error: str | None = None


def _result(
    item: MelItem,
    waveform: Tensor | None = None,
    error_db: float = math.nan,
    restored: bool = False,
    error: str | None = None,
) -> Inverted:
    """Return the result for an item."""
    source = (item.index, item.count, item.warnings)
    return Inverted(item.name, waveform, item.n_frames, error_db, restored, *source, error)


class BatchInverter:
    """An inverter on one device, with a batch limit that adapts to the memory there.

    Args:
        inverter: The inverter; it is copied, not changed.
        device: Where batches are inverted.
        limit: The largest batch. Lowered when memory runs out.
    """

    def __init__(self, inverter: MelInverter, device: torch.device, limit: BatchLimit) -> None:
        self.device, self.limit = device, limit
        self.inverter = copy.copy(inverter)
        self.inverter.check = False  # `load_mels` has checked the values
        self.mel_spectrogram = MelSpectrogram(inverter.convention)

    def waveforms(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Invert a batch.

        On the CPU mels are inverted one by one: that is fastest there, and each waveform is bit for
        bit that of its mel alone.

        Args:
            mels: Mels (n_mels, n_frames) on the device, or all (channels, n_mels, n_frames).

        Returns:
            Waveforms (n_samples,) or (channels, n_samples) on the device.
        """
        self.inverter.channels = mels[0].ndim > 2
        if self.device.type == "cpu":
            return [self.inverter(mel) for mel in mels]
        return self._padded_waveforms(mels)

    def _padded_waveforms(self, mels: Sequence[Tensor]) -> list[Tensor]:
        padded = pad_stack(mels, max(mel.shape[-1] for mel in mels))
        lengths = torch.stack([torch.full(mel.shape[:-2], mel.shape[-1]) for mel in mels])
        batch = self.inverter(padded, lengths=lengths.to(self.device))
        ends = [self.inverter.convention.n_samples(mel.shape[-1]) for mel in mels]
        return [waveform[..., :end] for waveform, end in zip(batch, ends, strict=True)]

    def mel_error_db(self, waveform: Tensor, mel: Tensor) -> tuple[float, bool]:
        """Measure how close a waveform comes to its mel, over the frames that both have.

        Args:
            waveform: Waveform (n_samples,) or (channels, n_samples).
            mel: Mel (n_mels, n_frames) or (channels, n_mels, n_frames).

        Returns:
            Mel error in dB over all channels, against the restored mel; NaN if the waveform is too
            short for a frame. And whether the restoration changed the mel.
        """
        given = self.inverter.to_linear_mel(mel)
        reference = self.inverter.to_restored_mel(mel)
        restored = not torch.equal(given, reference)
        if self.mel_spectrogram.convention.n_frames(waveform.shape[-1]) == 0:
            return math.nan, restored
        estimate = self.mel_spectrogram.linear_mel(waveform)
        n_frames = min(estimate.shape[-1], reference.shape[-1])
        mels = (each[..., :n_frames].flatten(0, -2) for each in (estimate, reference))
        return float(mel_error_db(*mels)), restored

    def invert(self, items: Sequence[MelItem]) -> list[Inverted]:
        """Invert a batch; if that fails, invert its halves, down to single items.

        When memory runs out, the limit of later batches is lowered to half of this batch.

        Args:
            items: Mels without errors.

        Returns:
            A result for each item.
        """
        if len(items) == 1:
            needed = self.inverter.memory_of(items[0].n_frames, items[0].n_channels)
            if reason := lack_of_memory(needed, self.device):
                return [_result(items[0], error=reason)]
        done = []
        try:
            with torch.inference_mode():
                mels = [item.mel.to(self.device) for item in items]
                for mel, waveform in zip(mels, self.waveforms(mels), strict=True):
                    done.append((waveform.cpu(), *self.mel_error_db(waveform, mel)))
            # Cloned, because autograd refuses tensors of inference mode.
            return [
                _result(item, waveform.clone(), error_db, restored)
                for item, (waveform, error_db, restored) in zip(items, done, strict=True)
            ]
        except TorchmelinvError as error:
            reason = str(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = "not enough memory to invert this mel"
            longest = max(item.n_frames for item in items)
            n_rows = sum(item.n_channels for item in items)
            self.limit.max_frames = max(1, n_rows * longest // 2)
        # Retry only here: the exception, now gone, held the tensors of the failed attempt.
        mels, done = [], []
        if len(items) == 1:
            return [_result(items[0], error=reason)]
        middle = len(items) // 2
        return [*self.invert(items[:middle]), *self.invert(items[middle:])]


@named_options
def invert_many(
    sources: Iterable[MelSource],
    inverter: MelInverter,
    *,
    device: torch.device | str = "cpu",
    batch: int | None = None,
    memory: float | None = None,
    mfcc: MfccConvention | None = None,
) -> Generator[Inverted, None, None]:
    """Invert a stream of mels.

    On the CPU results keep the order of the sources and equal ``inverter(mel)`` bit for bit. An
    accelerator inverts batches of similar length, so results come as batches fill up and differ
    from those of single mels by rounding. A batch that does not fit into memory is halved and tried
    again. Computes in float32, in the caller's thread, while two threads load the next sources.

    Args:
        sources: Paths of mel files, or pairs of a name with a path or a mel (…, n_mels, n_frames).
            The stream may be endless.
        inverter: The inverter; it is not changed. If its `channels` is True, the dimension before a
            mel's last two has the channels of one recording, at most 8, which stay together. A mel
            (n_mels, n_frames) is one channel.
        device: Where mels are inverted.
        batch: Most mels in a batch, where each channel counts as one. Default: 64, on the CPU 1.
        memory: Bytes that a batch may take, approximately. Default: half of the free memory of a
            CUDA device, otherwise 1 GiB.
        mfcc: Convention of MFCCs, if the sources hold those, as in `functional.mfcc_to_waveform`,
            which inverts with ``restore="none"``.
            Its mel must be in the inverter's convention.

    Returns:
        A generator of an `Inverted` for each mel, and for each source that cannot be read.

    Raises:
        InputError: If `batch` or `memory` is below 1.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> sources = [("silence", torch.full((80, 20), -11.5)), ("wrong", torch.zeros(3, 20))]
        >>> for result in tmi.invert_many(sources, inverter):
        ...     print(result.name, (result.error or "done")[:19])
        silence done
        wrong the mel has 3 bands
    """
    device = torch.device(device)
    if batch is not None:
        check_whole("batch", batch, 1)
    if memory is not None:
        check_number("memory", memory, 1)
    max_items = batch or (1 if device.type == "cpu" else _MAX_ITEMS)
    max_frames = int((memory or default_budget(device)) / bytes_per_frame(inverter.convention))
    limit = BatchLimit(max_items, max(1, max_frames))
    return _invert_stream(sources, BatchInverter(inverter, device, limit), mfcc)


def _invert_stream(
    sources: Iterable[MelSource], batch_inverter: BatchInverter, mfcc: MfccConvention | None
) -> Generator[Inverted, None, None]:
    """Yield results, with sources that cannot be read in between."""
    failed: deque[Inverted] = deque()
    limit = batch_inverter.limit
    inverter = batch_inverter.inverter
    load = functools.partial(
        load_mels, convention=inverter.convention, mfcc=mfcc, channels=inverter.channels
    )

    def valid_items() -> Iterator[MelItem]:
        max_pending = 2 * limit.max_items + 2
        for items in prefetch(load, sources, workers=_LOADERS, max_pending=max_pending):
            yield from (item for item in items if item.error is None)
            failed.extend(_result(item, error=item.error) for item in items if item.error)

    batches = batch_by_length(
        valid_items(), lambda item: item.n_frames, limit, lambda item: item.n_channels
    )
    for items in batches:
        results = batch_inverter.invert(items)
        while failed:
            yield failed.popleft()
        yield from results
    yield from failed
