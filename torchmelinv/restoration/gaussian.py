"""Gaussian filters of log mels along bands and frames, with a width for each item.

Both ends are extended by their last value. The weights are samples of a Gaussian: below a standard
deviation of 0.5 the filter is narrower than that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

REACH = 4.0  # in standard deviations
_MANY_BANDS = 1024  # for which a matrix of bands by bands takes more memory than a mel


def _kernel(variance: Tensor, reach: int) -> Tensor:
    """Return the weights (items, 2 reach + 1); a variance of 0 gives the unit impulse exactly."""
    offsets = torch.arange(-reach, reach + 1, dtype=variance.dtype, device=variance.device)
    weights = torch.exp(-offsets.square() / (2 * variance.clamp(min=1e-6)[:, None]))
    return weights / weights.sum(-1, keepdim=True)


def _along_frames(log_mel: Tensor, kernel: Tensor) -> Tensor:
    # Sums of shifted mels: convolutions with a kernel for each item are slow, and on the CPU their
    # library keeps memory for each shape.
    n_frames, reach = log_mel.shape[-1], kernel.shape[-1] // 2
    padded = pad(log_mel, (reach, reach), mode="replicate")
    result = log_mel * kernel[:, reach, None, None]
    for offset in range(1, reach + 1):
        before = padded[..., reach - offset : reach - offset + n_frames]
        after = padded[..., reach + offset : reach + offset + n_frames]
        result = result + kernel[:, reach + offset, None, None] * (before + after)
    return result


def _along_bands(log_mel: Tensor, kernel: Tensor) -> Tensor:
    n_mels, reach = log_mel.shape[-2], kernel.shape[-1] // 2
    if n_mels > _MANY_BANDS:
        return _along_frames(log_mel.mT, kernel).mT
    bands = torch.arange(n_mels, device=log_mel.device)
    offsets = torch.arange(-reach, reach + 1, device=log_mel.device)
    source = (bands[:, None] + offsets).clamp(0, n_mels - 1)
    selection = (source[..., None] == bands).to(log_mel.dtype)  # (n_mels, taps, n_mels)
    return torch.einsum("it,btn->ibn", kernel, selection) @ log_mel


def gaussian_filter(
    log_mel: Tensor, variances: tuple[Tensor, Tensor], largest: tuple[float, float]
) -> Tensor:
    """Filter log mels along bands and frames.

    Args:
        log_mel: Log mels (items, n_mels, n_frames).
        variances: Variance in bands² and in frames², each (items).
        largest: Largest standard deviation along bands and along frames, which decides the length
            of the kernels.

    Returns:
        Filtered log mels (items, n_mels, n_frames).
    """
    bands, frames = (
        _kernel(variance.to(log_mel.dtype), max(1, math.ceil(REACH * deviation)))
        for variance, deviation in zip(variances, largest, strict=True)
    )
    return _along_bands(_along_frames(log_mel, frames), bands)
