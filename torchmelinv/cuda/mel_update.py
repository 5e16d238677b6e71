"""The tables of the multiplicative updates toward a mel, in the layout of the CUDA kernels.

The reference in plain torch is `MelTarget` in `phase/mel_target.py`.

Triangular filters that meet at each other's centers share a bin with one neighbor at most. The
factor of a bin in one update is then a sum of two ratios, r_j and r_{j+1}, instead of a matrix
product. The free part of a bin, at DC and above the center of the last filter, belongs to one more
band after the last, either together with the last filter or alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.cuda.layout import MelUpdate

BINS_PER_LOAD = 4  # bins of a band that a thread loads at once, as in kernels/mel.cuh


class MelUpdateTables(NamedTuple):
    """The fields of a `MelUpdate` that depend on the filterbank alone."""

    rows: Tensor
    weights: Tensor
    lower_band: Tensor
    shares: Tensor


def unsupported_filters(M_norm: Tensor, free: Tensor) -> str | None:
    """Return why the kernels cannot use these filters, or None if they can.

    Args:
        M_norm: The filterbank M / Mᵀ1, (n_mels, n_freqs).
        free: The free part of each bin, (n_freqs,).

    Returns:
        The reason, or None.
    """
    used = torch.cat([M_norm, free[None].to(M_norm)]) != 0
    if (used.sum(0) > 2).any():
        return "a bin belongs to more than two bands"
    band = torch.arange(len(used), device=used.device)[:, None]
    lowest = torch.where(used, band, len(used)).amin(0)
    highest = torch.where(used, band, -1).amax(0)
    if (highest - lowest > 1).any():
        return "a bin belongs to two bands that are not neighbors"
    return None


def lanes_per_band(n_freqs: int) -> int:
    """Return the number of threads that sum one band, an even number that grows with n_freqs."""
    return max(2, min(8, (n_freqs - 1) // 512 * 2))


def padded_bins(n_freqs: int) -> int:
    """Return n_freqs rounded up so that every band has whole loads of all its threads."""
    step = BINS_PER_LOAD * lanes_per_band(n_freqs)
    return -(-n_freqs // step) * step


def mel_update_tables(
    M: Tensor, M_norm: Tensor, free: Tensor, device: torch.device
) -> MelUpdateTables:
    """Build the tables of a filterbank that `unsupported_filters` accepts.

    The row of a band starts at an even bin, has at least one whole load of all its threads, and
    ends within `padded_bins`; weights outside of the band are 0. The columns of `rows` are the
    bytes before the two values of the first bin, the bytes before the first weight, and the number
    of loads.

    Args:
        M: The filterbank, (n_mels, n_freqs).
        M_norm: The filterbank M / Mᵀ1, (n_mels, n_freqs).
        free: The free part of each bin, (n_freqs,).
        device: Device of the tables.

    Returns:
        The tables.
    """
    M, M_norm, free = (table.detach().cpu() for table in (M, M_norm, free))
    n_mels, n_freqs = M.shape
    n_padded, step = padded_bins(n_freqs), BINS_PER_LOAD * lanes_per_band(n_freqs)
    M = pad(M, (0, n_padded - n_freqs))
    bins, used = torch.arange(n_padded), M != 0
    first = torch.where(used, bins, n_padded).amin(1) // 2 * 2
    width = (torch.where(used, bins + 1, 0).amax(1) - first).clamp(min=1)
    width = -(-width // step) * step
    first = torch.minimum(first, n_padded - width)
    weights = M[(bins >= first[:, None]) & (bins < (first + width)[:, None])]
    columns = [8 * first, 4 * (width.cumsum(0) - width), width // BINS_PER_LOAD]
    rows = torch.stack([*columns, torch.zeros_like(width)], -1)
    M_norm = torch.cat([M_norm, free[None].to(M_norm)])
    # A bin without a band may have any band: both of its shares are 0.
    band = torch.where((M_norm != 0).any(0), (M_norm != 0).int().argmax(0), 0)
    band = band.clamp(max=n_mels - 1)
    frequency = torch.arange(n_freqs)
    shares = torch.stack([M_norm[band, frequency], M_norm[band + 1, frequency]], -1)

    def to(table: Tensor, dtype: torch.dtype) -> Tensor:
        return table.to(dtype).to(device).contiguous()

    return MelUpdateTables(
        rows=to(rows, torch.int32),
        weights=to(weights, torch.float32),
        lower_band=to(band, torch.int32),
        shares=to(shares, torch.float32),
    )


def mel_update(
    tables: MelUpdateTables,
    values: Tensor,
    offset: Tensor,
    floor: Tensor | None,
    *,
    power: float,
    inner_iter: int,
    damping: float,
    largest_ratio: float,
    largest_gain: float,
    smallest_mel: float,
) -> MelUpdate:
    """Return the updates toward a mel (items, frames, n_mels).

    `offset` and `floor` have one number per item; the other arguments are described in `MelUpdate`.
    """
    floor = torch.zeros_like(offset) if floor is None else floor
    return MelUpdate(
        values.contiguous(),
        *tables,
        offset=offset.reshape(-1).contiguous(),
        floor=floor.reshape(-1).contiguous(),
        power=float(power),
        inner_iter=inner_iter,
        exponent=damping / float(power),
        largest_ratio=float(largest_ratio),
        largest_gain=float(largest_gain),
        smallest_mel=float(smallest_mel),
    )
