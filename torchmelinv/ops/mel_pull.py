"""The tables of the pull towards a mel (`joint/mel_target.py`) as kernels read them: rows of the bands, two ratios for each bin.

Triangular filters that meet at each other's centres share a bin with one neighbour at most. Then what a sweep multiplies bin k
by is a sum of two ratios, r_j and r_{j+1}, instead of a product with a matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.ops.layout import MelPull


class PullTables(NamedTuple):
    """The part of a MelPull that is one filterbank's."""

    first: Tensor
    width: Tensor
    start: Tensor
    weights: Tensor
    band: Tensor
    spread: Tensor
    free: Tensor


def why_no_pull(spread: Tensor) -> str | None:
    """What keeps filters from the kernels, if anything does; by the matrix (n_mels, n_freqs) that spreads ratios to bins."""
    used = spread != 0
    if (used.sum(0) > 2).any():
        return "a bin belongs to more than two bands"
    index = torch.arange(len(used), device=used.device)[:, None]
    lowest, highest = torch.where(used, index, len(used)).amin(0), torch.where(used, index, -1).amax(0)
    return "a bin belongs to two bands that are not neighbours" if (highest - lowest > 1).any() else None


def pull_tables(bands: Tensor, spread: Tensor, free: Tensor, device: torch.device) -> PullTables:
    """From M and the matrix that spreads ratios to bins, (n_mels, n_freqs), and the bins' free part (n_freqs,).

    Made once for a filterbank, of which `why_no_pull` says nothing.
    """
    bands, spread = bands.detach().cpu(), spread.detach().cpu()
    n_mels, n_freqs = bands.shape
    bins, used = torch.arange(n_freqs), bands != 0
    first = torch.where(used, bins, n_freqs).amin(1)
    width = torch.where(used, bins + 1, 0).amax(1) - first
    first, width = torch.where(width > 0, first, 0), width.clamp(min=0)
    inside = (bins >= first[:, None]) & (bins < (first + width)[:, None])
    weights = bands[inside] if inside.any() else bands.new_zeros(1)
    # where no band is, any will do: its two shares are 0
    band = torch.where((spread != 0).any(0), (spread != 0).int().argmax(0), 0).clamp(max=max(n_mels - 2, 0))
    upper = spread[(band + 1).clamp(max=n_mels - 1), bins] if n_mels > 1 else torch.zeros_like(spread[0])
    shares = torch.stack([spread[band, bins], upper], -1)

    def to(table: Tensor, dtype: torch.dtype) -> Tensor:
        return table.to(dtype).to(device).contiguous()

    return PullTables(
        first=to(first, torch.int32),
        width=to(width, torch.int32),
        start=to(width.cumsum(0) - width, torch.int32),
        weights=to(weights, torch.float32),
        band=to(band, torch.int32),
        spread=to(shares, torch.float32),
        free=to(free, torch.float32),
    )


def mel_pull(
    tables: PullTables,
    values: Tensor,
    offset: Tensor,
    floor: Tensor | None,
    *,
    power: float,
    sweeps: int,
    agreement: float,
    most_ratio: float,
    most_gain: float,
    faintest: float,
) -> MelPull:
    """The pull towards the mel `values` (items, frames, n_mels); `offset` and `floor` hold one number for each item."""
    return MelPull(
        values.contiguous(),
        *tables,
        offset=offset.reshape(-1).contiguous(),
        floor=torch.zeros_like(offset).reshape(-1) if floor is None else floor.reshape(-1).contiguous(),
        power=float(power),
        sweeps=sweeps,
        exponent=agreement / power,
        most_ratio=most_ratio,
        most_gain=most_gain,
        faintest=faintest,
    )
