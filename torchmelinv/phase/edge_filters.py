"""Filters for the bins at the edges of a filterbank that its own filters hardly see.

Beyond the center of the last filter no other filter takes over: the weights fall to 0, and the mel
says less and less about these bins. The same holds before the center of the first filter. An edge
filter has the weight that is missing there, so that all bins of the filterbank weigh about the
same. Its band goes on from the last two bands: with the mean densities d_k = m_k / Σ_f M_kf, the
last filter K and the weights v of the edge filter,

    v_f = max(0, Σ_k M_k,f* − Σ_k M_k,f)  for f ≥ f* = argmax_f M_K,f,
    m_v = d_K min(1, d_K / d_K−1) Σ_f v_f.

A spectrum that falls toward the edge, as that of most recordings, falls on; none rises.

The lower edge leaves out DC, which is unrelated to the bins beside it, and bins so near the first
center that they and DC reach each other by leakage: there the first band says enough.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.transforms.constant_matrix import ConstantMatrix

MAIN_LOBES = 4  # bins of the main lobes of DC and of the center, two each for a Hann window


class Edge(NamedTuple):
    """The filter at one end of a filterbank, or none."""

    filter: Tensor  # v, (0 or 1, n_freqs), float64
    outer: int  # the band at this end
    inner: int  # the band beside it
    factor: float  # Σ v_f / Σ_f M_outer,f
    relative_sum: float  # Σ_f M_inner,f / Σ_f M_outer,f

    def band(self, mel: Tensor) -> Tensor:
        """Return m_v of a linear mel (…, n_mels), (…, 0 or 1)."""
        if not len(self.filter):
            return mel[..., :0]
        outer, inner = (mel[..., band : band + 1] for band in (self.outer, self.inner))
        # Divided only where the ratio is below 1, so that its gradient is finite.
        falls = self.relative_sum * outer < inner
        fall = self.relative_sum * outer / torch.where(falls, inner, 1)
        return self.factor * outer * torch.where(falls, fall, 1)


class EdgeFilters(NamedTuple):
    """The edge filters of a filterbank."""

    lower: Edge
    upper: Edge

    def extend(self, mel: Tensor) -> Tensor:
        """Return a linear mel (…, n_mels) with the bands of the edge filters, (…, rows)."""
        return torch.cat([self.lower.band(mel), mel, self.upper.band(mel)], -1)

    def mel(self, rows: Tensor) -> Tensor:
        """Return the mel (…, n_mels) of extended rows (…, rows)."""
        return rows[..., len(self.lower.filter) : rows.shape[-1] - len(self.upper.filter)]


@outside_inference_mode
def edge_filters(matrix: ConstantMatrix) -> EdgeFilters:
    """Return the edge filters of a filterbank (n_mels, n_freqs)."""
    M = matrix.table
    nonempty = M.any(1).nonzero().flatten().tolist()
    if not nonempty:
        none = Edge(M[:0], 0, 0, 0.0, 1.0)
        return EdgeFilters(none, none)
    share, bins = M.sum(0), torch.arange(M.shape[1])
    covered = share.nonzero().flatten()
    # The bin of half the sampling rate belongs to a filter that ends there with weight 0.
    end = int(covered[-1]) + (int(covered[-1]) == M.shape[1] - 2)

    def edge(outer: int, inner: int, region: Tensor) -> Edge:
        missing = (share[int(M[outer].argmax())] - share).clamp(min=0)
        missing = torch.where(region, missing, 0)
        sums = M.sum(1)
        factor, relative_sum = missing.sum() / sums[outer], sums[inner] / sums[outer]
        filter = missing[None] if missing.any() else M[:0]
        return Edge(filter, outer, inner, float(factor), float(relative_sum))

    several = len(nonempty) > 1
    first, last = nonempty[0], nonempty[-1]
    second, before_last = (nonempty[1], nonempty[-2]) if several else (first, last)
    beyond = (bins >= int(M[last].argmax())) & (bins <= end)
    before = (bins <= int(M[first].argmax()) - MAIN_LOBES) & (bins >= covered[0]) & (bins > 0)
    return EdgeFilters(edge(first, second, before), edge(last, before_last, beyond))
