"""Streaming inversion of any number of mels.

Mels are loaded ahead, batched by length and inverted; an error affects only its own mel. Memory
does not grow with the number of mels: a yielded result is forgotten.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import torch

from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.conventions import MfccConvention
from torchmelinv.corpus.batch_inverter import BatchInverter, result_of
from torchmelinv.corpus.batching import BatchLimit, batch_by_length
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.corpus.loading import MelItem, MelSource, load_mels
from torchmelinv.corpus.memory import bytes_per_frame, default_budget
from torchmelinv.corpus.prefetching import prefetch
from torchmelinv.errors import InputError, short
from torchmelinv.invert import MelInverter

__all__ = ["invert_many"]

_MAX_ITEMS = 64  # of a batch on an accelerator; larger ones are not faster
_LOADERS = 2  # threads


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
    again. Computes in float32, on the CPU in the caller's thread; an accelerator inverts a batch
    while the caller takes the results of the batch before, a CUDA device on the caller's current
    stream. Two threads load the next sources.

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
        InputError: If `inverter` is no `MelInverter`, or `batch` or `memory` is below 1.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> sources = [("silence", torch.full((80, 20), -11.5)), ("wrong", torch.zeros(3, 20))]
        >>> for result in tmi.invert_many(sources, inverter):
        ...     print(result.name, (result.error or "done")[:19])
        silence done
        wrong the mel has 3 bands
    """
    if not isinstance(inverter, MelInverter):
        raise InputError(f"the inverter is {short(inverter)}; it must be a MelInverter")
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())  # each thread has its own
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
            failed.extend(result_of(item, error=item.error) for item in items if item.error)

    batches = batch_by_length(
        valid_items(), lambda item: item.n_frames, limit, lambda item: item.n_channels
    )
    if batch_inverter.device.type == "cpu":
        inverted: Iterable[list[Inverted]] = map(batch_inverter.invert, batches)
    else:
        invert = _on_current_stream(batch_inverter.invert, batch_inverter.device)
        inverted = prefetch(invert, batches, workers=1, max_pending=2)
    for results in inverted:
        while failed:
            yield failed.popleft()
        yield from results
    yield from failed


def _on_current_stream(
    invert: Callable[[Sequence[MelItem]], list[Inverted]], device: torch.device
) -> Callable[[Sequence[MelItem]], list[Inverted]]:
    """Return a function for another thread, which uses the CUDA stream of this thread there."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return invert
    stream = torch.cuda.current_stream(device)  # each thread has its own

    def invert_on_stream(items: Sequence[MelItem]) -> list[Inverted]:
        with torch.cuda.stream(stream):
            return invert(items)

    return invert_on_stream
