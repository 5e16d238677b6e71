"""The window and the mel filters of torchaudio's transforms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchmelinv.conventions.mel_convention import FILTER_NORMS
from torchmelinv.errors import InputError
from torchmelinv.transforms.mel_filterbank import mel_filters, warn_of_empty_filters
from torchmelinv.transforms.mel_scale import hz_to_mel

# mel to Hz in torch's arithmetic, whose rounding moves a narrow filter by up to 1e-5
_MEL_TO_HZ: dict[str, Callable[[Tensor], Tensor]] = {
    "htk": lambda mel: 700.0 * (10.0 ** (mel / 2595.0) - 1.0),
    "slaney": lambda mel: torch.where(
        mel < 15.0, 200.0 / 3 * mel, 1000.0 * (math.log(6.4) / 27.0 * (mel - 15.0)).exp()
    ),
}


def make_window(
    window_fn: Callable[..., Tensor], win_length: int, wkwargs: dict[str, Any] | None
) -> Tensor:
    """Return ``window_fn(win_length, **wkwargs)``."""
    return window_fn(win_length) if wkwargs is None else window_fn(win_length, **wkwargs)


def make_filters(
    n_stft: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: int,
    norm: str | None,
    mel_scale: str,
) -> Tensor:
    """Return the filters (n_stft, n_mels), bit-identical to torchaudio's.

    Bins are spread from 0 to ``sample_rate // 2``, and the edges of the filters are float32.
    """
    if not f_min < f_max:
        raise InputError(f"f_min is {f_min} and f_max {f_max}; f_min must be below f_max")
    if norm not in FILTER_NORMS:
        raise InputError(f"norm is {norm!r}; it must be None or 'slaney'")
    if mel_scale not in _MEL_TO_HZ:
        raise InputError(f"mel_scale is {mel_scale!r}; it must be 'htk' or 'slaney'")
    low, high = hz_to_mel([f_min, f_max], mel_scale)
    edges = _MEL_TO_HZ[mel_scale](torch.linspace(low, high, n_mels + 2)).numpy()
    bins = torch.linspace(0, sample_rate // 2, n_stft).numpy()
    filters = mel_filters(bins, edges, mel_scale, norm)
    warn_of_empty_filters(int((filters.max(1) == 0).sum()), n_mels, n_stft)
    return torch.from_numpy(filters).T.contiguous()
