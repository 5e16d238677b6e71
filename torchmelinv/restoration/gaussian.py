"""Gaussian filters of log mels along bands and frames, with a width for each item.

Both ends are extended by their last value. The weights are samples of a Gaussian: below a standard
deviation of 0.5 the filter is narrower than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    n_frames, reach = log_mel.shape[-1], kernel.shape[-1] // 2
    padded = pad(log_mel, (reach, reach), mode="replicate")
    if log_mel.device.type != "cpu":  # one product instead of many launches
        return (padded.unfold(-1, 2 * reach + 1, 1) @ kernel[:, None, :, None])[..., 0]
    # Sums of shifted mels: convolutions with a kernel for each item are slow, and on the CPU their
    # library keeps memory for each shape.
    result = log_mel * kernel[:, reach, None, None]
    for offset in range(1, reach + 1):
        before = padded[..., reach - offset : reach - offset + n_frames]
        after = padded[..., reach + offset : reach + offset + n_frames]
        result = result + kernel[:, reach + offset, None, None] * (before + after)
    return result


def _band_matrix(n_mels: int, kernel: Tensor) -> Tensor:
    """Return the filter along bands as matrices (items, n_mels, n_mels)."""
    reach = kernel.shape[-1] // 2
    bands = torch.arange(n_mels, device=kernel.device)
    offsets = torch.arange(-reach, reach + 1, device=kernel.device)
    source = (bands[:, None] + offsets).clamp(0, n_mels - 1)
    selection = (source[..., None] == bands).to(kernel.dtype)  # (n_mels, taps, n_mels)
    return torch.einsum("it,btn->ibn", kernel, selection)


def make_gaussian_filter(
    n_mels: int, variances: tuple[Tensor, Tensor], largest: tuple[float, float]
) -> Callable[[Tensor], Tensor]:
    """Return a filter of log mels (items, n_mels, n_frames) along bands and frames.

    Args:
        n_mels: Number of bands.
        variances: Variance in bands² and in frames², each (items).
        largest: Largest standard deviation along bands and along frames, which decides the length
            of the kernels.

    Returns:
        A function of log mels that returns filtered ones.
    """
    bands, frames = (
        _kernel(variance, max(1, math.ceil(REACH * deviation)))
        for variance, deviation in zip(variances, largest, strict=True)
    )
    if n_mels > _MANY_BANDS:
        return lambda log_mel: _along_frames(_along_frames(log_mel, frames).mT, bands).mT
    matrix = _band_matrix(n_mels, bands)
    return lambda log_mel: matrix @ _along_frames(log_mel, frames)


def gaussian_filter(
    log_mel: Tensor, variances: tuple[Tensor, Tensor], largest: tuple[float, float]
) -> Tensor:
    """Filter log mels (items, n_mels, n_frames) once, as by `make_gaussian_filter`."""
    variances = variances[0].to(log_mel.dtype), variances[1].to(log_mel.dtype)
    return make_gaussian_filter(log_mel.shape[-2], variances, largest)(log_mel)
