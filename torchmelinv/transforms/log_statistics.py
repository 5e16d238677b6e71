"""What the check of a logarithmic mel reads: extremes, frames with too much energy, zeros."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.compression import logarithmic
from torchmelinv.transforms.mel_bounds import largest_density, relative_energy

_FULL_SCALE = 1.05  # relative energy of a frame, with room for the rounding of half precisions


class LogStatistics(NamedTuple):
    """Numbers of a mel; NaN or infinite if a value is."""

    low: float  # extremes and mean of the values
    high: float
    mean: float
    lowest: float  # extremes of the linear mel's natural logarithm
    highest: float
    loud: float  # largest part of an item's frames that no waveform in [−1, 1] has
    # How far the mean power of an item lies below its frames or bands of zeros, in nepers; 0 if
    # there are none
    zero_depth: float
    density: float  # see `largest_density`


def log_base(convention: MelConvention) -> float:
    """Return the natural logarithm of the base of the convention's logarithm."""
    return 1.0 if convention.level.log == "ln" else math.log(10)


def log_statistics(
    values: Tensor, convention: MelConvention, mask: Tensor | None = None
) -> LogStatistics:
    """Return the statistics of a logarithmic mel (…, n_mels, n_frames), in one transfer.

    The mask (…, 1, n_frames) is True for an item's own frames. Extremes and mean count all frames.
    """
    level, base = convention.level, log_base(convention)
    logs = logarithmic(values, level) * base
    own = torch.ones_like(values[..., :1, :], dtype=torch.bool) if mask is None else mask
    energy = relative_energy((logs.exp() - level.offset).relu(), convention)
    loud = ((energy > _FULL_SCALE) & own[..., 0, :]).sum(-1) / own.sum((-2, -1))
    at_zero = logarithmic(torch.zeros_like(values[..., :1]), level) * base
    depth = _zero_depth(values, at_zero - logs, own) * (2 / convention.power)
    if level.reference_max or convention.n_mels <= 2:
        # The peak is 0 by definition, or half of the bands is one band.
        depth = torch.zeros_like(depth)
    found = [values.min(), values.max(), values.mean(), logs.min(), logs.max()]
    found += [loud.to(values.dtype).max(), depth.max(), largest_density(values, convention)]
    return LogStatistics(*torch.stack(found).tolist())


def _zero_depth(values: Tensor, below: Tensor, own: Tensor) -> Tensor:
    """Return the mean of `below` over values that are not 0, (…); 0 without frames of zeros.

    Half of a frame's bands count as the frame, and a band counts if it is 0 in all frames: a value
    that crosses 0 is no such block.
    """
    zero = (values == 0) & own
    whole_frames = 2 * zero.sum(-2) >= values.shape[-2]
    whole_bands = zero.sum(-1) == own.sum(-1)
    others = own & ~zero
    mean = safe_divide((below * others).sum((-2, -1)), others.sum((-2, -1)).to(values.dtype))
    return torch.where(whole_frames.any(-1) | whole_bands.any(-1), mean, 0)
