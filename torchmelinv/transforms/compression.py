"""Linear mel spectrograms to the values that a model sees, and back.

The steps of a `Compression`, in order: floor or offset, logarithm, multiplier and shift, reference,
dynamic range, affine, clip, statistics of each band.

``decompress(compress(mel))`` is the mel wherever no floor, dynamic range or clip acted. What these
discard is lost: a value at the floor decompresses to the floor, not to 0, and the affine
extrapolates values outside a clip. The level that `reference_max` subtracts is
not restored: the linear mel then peaks at 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_real
from torchmelinv.conventions import Compression

__all__ = ["compress", "decompress"]

# Natural logarithm of each logarithm's base
_LN_OF_BASE = {"ln": 1.0, "log10": math.log(10)}


def _per_band(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    """Return one number per band as a column, (n_mels, 1)."""
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None]


def _item_peak(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the peak of each item over its own frames, (…, n_mels, n_frames) -> (…, 1, 1)."""
    if mask is not None:
        values = torch.where(mask, values, -math.inf)
    peak = values.amax((-2, -1), keepdim=True)
    return torch.where(peak == -math.inf, 0, peak)  # an item without frames


@full_precision
def compress(mel: Tensor, level: Compression, mask: Tensor | None = None) -> Tensor:
    """Compute the values of a linear mel spectrogram.

    The gradient is 0 where the floor, the dynamic range or the clip acts.

    Args:
        mel: Linear mel spectrogram (…, n_mels, n_frames), at least 0.
        level: The compression.
        mask: True for an item's own frames, (…, 1, n_frames). Only `reference_max` and
            `dynamic_range` use it, to find each item's peak. Default: all frames.

    Returns:
        Values (…, n_mels, n_frames).

    Raises:
        InputError: If the mel is not real floating point.

    Shape:
        - mel: (…, n_mels, n_frames)
        - mask: (…, 1, n_frames)
        - output: (…, n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.transforms.compression import compress
        >>> decibels = tmi.Compression(log="log10", floor=1e-5, multiplier=20)
        >>> compress(torch.tensor([[10.0, 1.0, 0.0]]), decibels)
        tensor([[  20.,    0., -100.]])
    """
    values = check_real(mel, "mel")
    if level.floor is not None:
        values = values.clamp(min=level.floor)
    if level.offset:
        values = values + level.offset
    if level.log is not None:
        values = values.log() if level.log == "ln" else values.log10()
    values = values * level.multiplier + level.shift
    if level.reference_max:
        values = values - _item_peak(values, mask)
    if level.dynamic_range is not None:
        values = torch.maximum(values, _item_peak(values, mask) - level.dynamic_range)
    if level.affine is not None:
        values = (values - level.affine[0]) / level.affine[1]
    if level.clip is not None:
        values = values.clamp(*level.clip)
    if level.band_mean is not None:
        values = values - _per_band(level.band_mean, values)
    if level.band_scale is not None:
        values = values / _per_band(level.band_scale, values)
    return values


def logarithmic(values: Tensor, level: Compression) -> Tensor:
    """Undo statistics, affine, shift and multiplier: return the logarithm, or the linear mel."""
    if level.band_scale is not None:
        values = values * _per_band(level.band_scale, values)
    if level.band_mean is not None:
        values = values + _per_band(level.band_mean, values)
    if level.affine is not None:
        values = values * level.affine[1] + level.affine[0]
    return (values - level.shift) / level.multiplier


@full_precision
def decompress(values: Tensor, level: Compression, mask: Tensor | None = None) -> Tensor:
    """Compute the linear mel spectrogram of values: the inverse of `compress` above the floor.

    The gradient is 0 where the result is 0 (below the offset, or below 0 for linear values).
    Elsewhere it is not: values below the floor or beyond the clip are extrapolated.

    Args:
        values: Values (…, n_mels, n_frames).
        level: The compression.
        mask: True for an item's own frames, (…, 1, n_frames); others become 0. Default: all frames.

    Returns:
        Linear mel spectrogram (…, n_mels, n_frames), at least 0.

    Raises:
        InputError: If the values are not real floating point.

    Shape:
        - values: (…, n_mels, n_frames)
        - mask: (…, 1, n_frames)
        - output: (…, n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.transforms.compression import decompress
        >>> decibels = tmi.Compression(log="log10", floor=1e-5, multiplier=20)
        >>> decompress(torch.tensor([[0.0, -20.0]]), decibels)
        tensor([[1.0000, 0.1000]])
    """
    values = check_real(values, "mel")
    if mask is not None:
        # Before the exponential, whose gradient would be NaN where padding overflows it.
        values = torch.where(mask, values, 0)
    mel = logarithmic(values, level)
    if level.log is not None:
        mel = (mel * _LN_OF_BASE[level.log]).exp()
    if level.offset:
        mel = mel - level.offset
    mel = mel.relu()
    return mel if mask is None else torch.where(mask, mel, 0)
