"""Filters for the bins at the edges of a filterbank that its own filters hardly see.

Beyond the center of the last filter no other filter takes over: the weights fall to 0, and the mel
says less and less about these bins. The same holds before the center of the first filter. An edge
filter has the weight that is missing there, so that all bins of the filterbank weigh about the
same, and its band has the mean density of the band beside it: for the last filter M_K, with m_K its
band and v the weights of the edge filter,

    v_f = max(0, Σ_k M_k,f* − Σ_k M_k,f)  for f ≥ f* = argmax_f M_K,f,    m_v = m_K Σ_f v_f / Σ_f M_K,f.

The lower edge leaves out DC, which is unrelated to the bins beside it, and bins so near the first
center that they and DC reach each other by leakage: there the first band says enough.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.transforms.constant_matrix import ConstantMatrix

MAIN_LOBES = 4  # bins of the main lobes of DC and of the center, two each for a Hann window


class EdgeFilters(NamedTuple):
    """The edge filters of a filterbank: at most one at each end."""

    lower: Tensor  # (0 or 1, n_freqs), float64 on the CPU
    upper: Tensor
    lower_factor: float  # m_v / m_k of the lower edge
    upper_factor: float
    first: int  # the first filter that is not empty
    last: int

    def extend(self, mel: Tensor) -> Tensor:
        """Return a linear mel (…, n_mels) with the bands of the edge filters, (…, rows)."""
        lower = mel[..., self.first : self.first + len(self.lower)] * self.lower_factor
        upper = mel[..., self.last : self.last + len(self.upper)] * self.upper_factor
        return torch.cat([lower, mel, upper], -1)

    def mel(self, rows: Tensor) -> Tensor:
        """Return the mel (…, n_mels) of extended rows (…, rows)."""
        return rows[..., len(self.lower) : rows.shape[-1] - len(self.upper)]


def edge_filters(matrix: ConstantMatrix) -> EdgeFilters:
    """Return the edge filters of a filterbank (n_mels, n_freqs)."""
    M = matrix.table
    none = M[:0]
    nonempty = M.any(1).nonzero().flatten().tolist()
    if not nonempty:
        return EdgeFilters(none, none, 0.0, 0.0, 0, 0)
    first, last = nonempty[0], nonempty[-1]
    share, bins = M.sum(0), torch.arange(M.shape[1])
    covered = share.nonzero().flatten()
    # The bin of half the sampling rate belongs to a filter that ends there with weight 0.
    end = int(covered[-1]) + (int(covered[-1]) == M.shape[1] - 2)

    def edge(band: int, region: Tensor) -> tuple[Tensor, float]:
        center = int(M[band].argmax())
        missing = torch.where(region, (share[center] - share).clamp(min=0), 0)
        if not missing.any():
            return none, 0.0
        return missing[None], float(missing.sum() / M[band].sum())

    beyond = (bins >= int(M[last].argmax())) & (bins <= end)
    before = (bins <= int(M[first].argmax()) - MAIN_LOBES) & (bins >= covered[0]) & (bins > 0)
    upper, upper_factor = edge(last, beyond)
    lower, lower_factor = edge(first, before)
    return EdgeFilters(lower, upper, lower_factor, upper_factor, first, last)
