"""Spectra and means of padded batches, as the losses of waveforms need them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from torchmelinv._utils.validation import check_lengths
from torchmelinv.errors import InputError
from torchmelinv.metrics.checks import check_pair
from torchmelinv.transforms.stft import STFT

P = Literal[1, 2]  # mean distance, or root mean square


def check_p(p: Any) -> None:
    """Refuse an exponent that is neither 1 nor 2."""
    if p not in (1, 2):
        raise InputError(f"p is {p!r}; it must be 1 (mean distance) or 2 (root mean square)")


def frame_counts(stft: STFT, waveform: Tensor, lengths: Any) -> Tensor | None:
    """Return the frames of each item, (…), or None without lengths; refuse an empty batch."""
    if waveform.ndim == 0 or waveform.numel() == 0:
        raise InputError(
            f"a waveform has shape {tuple(waveform.shape)}; it must be (…, n_samples ≥ 1) "
            "with at least one item"
        )
    if lengths is None:
        return None
    items, n_samples = waveform.shape[:-1], waveform.shape[-1]
    return stft.frame_counts(check_lengths(lengths, items, n_samples, waveform.device))


def spectra(
    stft: STFT, estimate: Tensor, reference: Tensor, lengths: Any
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the complex spectra of two waveforms, 0 in padding, and the frames of each item."""
    estimate, reference = check_pair(estimate, reference)
    counts = frame_counts(stft, estimate, lengths)
    return stft(estimate, lengths=lengths), stft(reference, lengths=lengths), counts


def weighted_mean(values: Tensor, counts: Tensor | None) -> Tensor:
    """Return the mean of the items' values (…), weighted by their frames."""
    if counts is None:
        return values.mean()
    return torch.sum(values * counts) / counts.sum().clamp(min=1)
