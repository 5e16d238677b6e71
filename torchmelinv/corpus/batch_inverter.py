"""Invert batches of mels on one device, and measure how close the waveforms come to them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.available_memory import is_out_of_memory
from torchmelinv._utils.table_cache import to_device
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.batching import BatchLimit, pad_stack
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.corpus.loading import MelItem
from torchmelinv.corpus.memory import lack_of_memory
from torchmelinv.errors import TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics.distance import mel_error_db


class InvertedMel(NamedTuple):
    """The waveform of a mel, with what was measured of it."""

    waveform: Tensor  # (n_samples,) or (channels, n_samples), on the CPU
    mel_error_db: float
    restored: bool  # whether the restoration changed the mel


def result_of(
    item: MelItem, inverted: InvertedMel | None = None, error: str | None = None
) -> Inverted:
    """Return the result for an item.

    Args:
        item: The item.
        inverted: Its waveform.
        error: The reason why there is none.

    Returns:
        The result.
    """
    waveform, error_db, restored = inverted or (None, math.nan, False)
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

    def invert_mels(self, mels: Sequence[Tensor]) -> list[InvertedMel]:
        """Invert a batch.

        On the CPU mels are inverted one by one: that is fastest there, and each waveform is bit for
        bit that of its mel alone. An accelerator inverts all together, and the host waits for it
        only to copy the mels to the device and the results from there.

        Args:
            mels: Mels (n_mels, n_frames) on the CPU, or all (channels, n_mels, n_frames).

        Returns:
            For each mel its waveform (n_samples,) or (channels, n_samples) on the CPU, its mel
            error in dB over all channels, measured against the restored mel, and whether the
            restoration changed the mel.
        """
        self.inverter.channels = mels[0].ndim > 2
        if self.device.type != "cpu":
            return self._invert_together(mels)
        return [result for mel in mels for result in self._invert_together([mel])]

    def _invert_together(self, mels: Sequence[Tensor]) -> list[InvertedMel]:
        counts = [mel.shape[-1] for mel in mels]
        batch = mels[0][None] if len(mels) == 1 else pad_stack(mels, max(counts))
        batch = self._move(batch)
        lengths = self._lengths(counts, batch)
        waveforms = self.inverter(batch, lengths=lengths)
        ends = [self.inverter.convention.n_samples(count) for count in counts]
        measured = self._compare(waveforms, ends, batch, lengths)
        waveforms = waveforms.cpu()
        return [
            InvertedMel(waveform[..., :end], *each)
            for waveform, end, each in zip(waveforms, ends, measured, strict=True)
        ]

    def _lengths(self, counts: Sequence[int], batch: Tensor) -> Tensor | None:
        """Return the lengths of items of a batch on its device, (items, …); None if all are equal.

        Without lengths nothing is masked, and long waveforms are analyzed in blocks.
        """
        if len(set(counts)) == 1:
            return None
        lengths = self._move(torch.tensor(counts)).reshape(-1, *[1] * (batch.ndim - 3))
        return lengths.expand(batch.shape[:-2])

    def _move(self, tensor: Tensor) -> Tensor:
        """Copy a tensor to the device without waiting for its earlier work."""
        return to_device(tensor, tensor.dtype, self.device)

    def _compare(
        self, waveforms: Tensor, ends: Sequence[int], batch: Tensor, lengths: Tensor | None
    ) -> list[tuple[float, bool]]:
        """Return the mel error of each item, and whether the restoration changed its mel."""
        given = self.inverter.to_linear_mel(batch, lengths=lengths)
        reference = self.inverter.to_restored_mel(batch, lengths=lengths)
        restored = (given != reference).flatten(1).any(1)
        # A waveform of the default length has at least as many frames as its mel.
        estimate = self.mel_spectrogram.linear_mel(waveforms, lengths=self._lengths(ends, batch))
        mels = (each[..., : batch.shape[-1]].flatten(1, -2) for each in (estimate, reference))
        counts = None if lengths is None else lengths.reshape(len(ends), -1)[:, 0]
        errors = mel_error_db(*mels, lengths=counts)
        values = torch.stack([errors, restored.to(errors.dtype)]).tolist()
        return [(error, bool(changed)) for error, changed in zip(*values, strict=True)]

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
                return [result_of(items[0], error=reason)]
        try:
            with torch.inference_mode():
                inverted = self.invert_mels([item.mel for item in items])
            # Cloned, because autograd refuses tensors of inference mode.
            return [
                result_of(item, each._replace(waveform=each.waveform.clone()))
                for item, each in zip(items, inverted, strict=True)
            ]
        except TorchmelinvError as error:
            reason = str(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = "not enough memory to invert this mel"
            longest = max(item.n_frames for item in items)
            n_rows = sum(item.n_channels for item in items)
            # The batch may have been made before an earlier one lowered the limit.
            self.limit.max_frames = min(self.limit.max_frames, max(1, n_rows * longest // 2))
        # Retry only here: the exception, now gone, held the tensors of the failed attempt.
        if len(items) == 1:
            return [result_of(items[0], error=reason)]
        middle = len(items) // 2
        return [*self.invert(items[:middle]), *self.invert(items[middle:])]
