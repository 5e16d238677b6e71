"""Linear mel to the values a model sees, and back: floor or offset, logarithm, scaling, dynamic range, affine, clip, statistics.

`expand(compress(mel))` is mel wherever no floor, dynamic range or clip acted. What expanding cannot know it leaves alone:
the floor stays the floor, values outside a clip are extrapolated by the affine, and a level taken away by `reference_max`
stays away (the peak of the linear mel is then 1).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv.conventions import Level
from torchmelinv.ops.checks import as_real
from torchmelinv.ops.precision import full_precision

# logarithm: natural logarithm of its base
_LOG_OF_BASE = {"ln": 1.0, "log10": math.log(10)}


def _bands(numbers: tuple[float, ...], like: Tensor) -> Tensor:
    """Numbers of each band as a column, (n_mels, 1)."""
    return torch.tensor(numbers, dtype=like.dtype, device=like.device)[:, None]


def _item_peak(values: Tensor, mask: Tensor | None) -> Tensor:
    """Largest value of each item (…, n_mels, n_frames) -> (…, 1, 1), over the frames that count."""
    if mask is not None:
        values = torch.where(mask, values, -math.inf)
    peak = values.amax((-2, -1), keepdim=True)
    return torch.where(peak == -math.inf, 0, peak)  # an item without a frame


@full_precision
def compress(mel: Tensor, level: Level, mask: Tensor | None = None) -> Tensor:
    """Linear mel (…, n_mels, n_frames), at least 0 -> the values of `level`, same shape.

    `mask` (…, 1, n_frames), True where a frame counts, matters to `reference_max` and `dynamic_range` alone. The gradient is
    zero where the floor, the dynamic range or the clip acts.
    """
    values = as_real(mel, "mel")
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
        values = values - _bands(level.band_mean, values)
    if level.band_scale is not None:
        values = values / _bands(level.band_scale, values)
    return values


def logarithmic(values: Tensor, level: Level) -> Tensor:
    """Values of `level` with statistics, affine, shift and multiplier undone: the logarithm (or the linear mel) itself."""
    if level.band_scale is not None:
        values = values * _bands(level.band_scale, values)
    if level.band_mean is not None:
        values = values + _bands(level.band_mean, values)
    if level.affine is not None:
        values = values * level.affine[1] + level.affine[0]
    return (values - level.shift) / level.multiplier


@full_precision
def expand(values: Tensor, level: Level) -> Tensor:
    """Values of `level` (…, n_mels, n_frames) -> linear mel, at least 0, same shape. Inverse of `compress` above the floor.

    The gradient is zero where the mel is, below the offset and for linear values below 0, and nowhere else: what lies below the
    floor or beyond the clip is extrapolated, with the slope that goes with it.
    """
    mel = logarithmic(as_real(values, "mel"), level)
    if level.log is not None:
        mel = (mel * _LOG_OF_BASE[level.log]).exp()
    if level.offset:
        mel = mel - level.offset
    return mel.relu()
