"""The tables of the pull towards a mel (`joint/mel_target.py`) as kernels read them: rows of the bands, two ratios for each bin.

Triangular filters that meet at each other's centres share a bin with one neighbour at most. Then what a sweep multiplies bin k
by is a sum of two ratios, r_j and r_{j+1}, instead of a product with a matrix. What follows no filter, at DC and above the last
filter's centre, follows one more band beyond the last: with the last filter, or with none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.ops.layout import MelPull

AT_ONCE = 4  # bins of a band that a thread takes at once, as in kernels/mel.cuh


class PullTables(NamedTuple):
    """The part of a MelPull that is one filterbank's."""

    rows: Tensor
    weights: Tensor
    band: Tensor
    spread: Tensor


def why_no_pull(spread: Tensor, free: Tensor) -> str | None:
    """What keeps filters from the kernels, if anything does; by the matrix (n_mels, n_freqs) that spreads ratios to bins, and by
    the part (n_freqs,) of each bin that follows no filter."""
    used = torch.cat([spread, free[None].to(spread)]) != 0
    if (used.sum(0) > 2).any():
        return "a bin belongs to more than two bands"
    index = torch.arange(len(used), device=used.device)[:, None]
    lowest, highest = torch.where(used, index, len(used)).amin(0), torch.where(used, index, -1).amax(0)
    return "a bin belongs to two bands that are not neighbours" if (highest - lowest > 1).any() else None


def lanes_of_band(n_freqs: int) -> int:
    """So many threads that do without a loop add up a band, an even number: filters get wider with the spectrum."""
    return max(2, min(8, (n_freqs - 1) // 512 * 2))


def seen_bins(n_freqs: int) -> int:
    """Room for a spectrum where every band reads a whole number of steps; what is added is 0."""
    step = AT_ONCE * lanes_of_band(n_freqs)
    return -(-n_freqs // step) * step


def pull_tables(bands: Tensor, spread: Tensor, free: Tensor, device: torch.device) -> PullTables:
    """From M and the matrix that spreads ratios to bins, (n_mels, n_freqs), and the bins' free part (n_freqs,).

    Made once for a filterbank, of which `why_no_pull` says nothing. A band's row starts at an even bin, has whole steps, at least
    one, and ends within `seen_bins`; what is not the band's own has a weight of 0. Of the table `rows` the first two columns are
    bytes from the first bin's two values and from the first weight on, the third counts AT_ONCE bins.
    """
    bands, spread, free = (table.detach().cpu() for table in (bands, spread, free))
    n_mels, n_freqs = bands.shape
    room, step = seen_bins(n_freqs), AT_ONCE * lanes_of_band(n_freqs)
    bins, used = torch.arange(room), torch.nn.functional.pad(bands, (0, room - n_freqs)) != 0
    first = torch.where(used, bins, room).amin(1) // 2 * 2
    width = (torch.where(used, bins + 1, 0).amax(1) - first).clamp(min=1)
    width = -(-width // step) * step
    first = torch.minimum(first, room - width)
    inside = (bins >= first[:, None]) & (bins < (first + width)[:, None])
    weights = torch.nn.functional.pad(bands, (0, room - n_freqs))[inside]
    rows = torch.stack([8 * first, 4 * (width.cumsum(0) - width), width // AT_ONCE, torch.zeros_like(width)], -1)
    spread = torch.cat([spread, free[None].to(spread)])
    # where no band is, any will do: its two shares are 0
    band = torch.where((spread != 0).any(0), (spread != 0).int().argmax(0), 0).clamp(max=n_mels - 1)
    at = torch.arange(n_freqs)
    shares = torch.stack([spread[band, at], spread[band + 1, at]], -1)

    def to(table: Tensor, dtype: torch.dtype) -> Tensor:
        return table.to(dtype).to(device).contiguous()

    return PullTables(
        to(rows, torch.int32), to(weights, torch.float32), to(band, torch.int32), to(shares, torch.float32)
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
        exponent=agreement / float(power),
        most_ratio=float(most_ratio),
        most_gain=float(most_gain),
        faintest=float(faintest),
    )
