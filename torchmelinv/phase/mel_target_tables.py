"""Tables of a mel as the target (`mel_target.py`): the filterbank both ways, with its edges."""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.table_cache import cached_table
from torchmelinv.cuda.mel_update import (
    MelUpdateTables,
    mel_update_tables,
    unsupported_filters,
)
from torchmelinv.phase.edge_filters import EdgeFilters, edge_filters
from torchmelinv.transforms.banded import CHUNK_OF_BANDS, CHUNK_OF_BINS, Banded
from torchmelinv.transforms.constant_matrix import ConstantMatrix


@dataclasses.dataclass(frozen=True, eq=False)
class MelTargetTables:
    """M and M / Mᵀ1, whose columns sum to 1, with transposes; hashed by identity."""

    M: Banded  # s ↦ M s
    M_T: Banded  # r ↦ Mᵀ r
    M_norm: Banded  # s ↦ M (s / Mᵀ1)
    M_norm_T: Banded  # r ↦ Mᵀ r / Mᵀ1
    per_band: Tensor  # 1 / M1, (rows,)
    free_dc: bool  # whether no filter covers bin 0 and one covers bin 1
    edges: EdgeFilters
    device: torch.device
    M_matrix: Tensor  # (rows, n_freqs), float64 on the CPU
    M_norm_matrix: Tensor
    rest: Tensor | None = None  # share of each bin in rows that were left out, (n_freqs,)
    _lowest: dict[int, MelTargetTables] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def _free_share(self) -> Tensor:
        share = torch.zeros(self.M_matrix.shape[1])
        share[0] = self.free_dc
        return share

    @functools.cached_property
    def unsupported_reason(self) -> str | None:
        """Why the CUDA kernels cannot use these filters, or None."""
        return unsupported_filters(self.M_norm_matrix, self._free_share)

    @functools.cached_property
    def kernel_tables(self) -> MelUpdateTables:
        """The tables in the layout of the CUDA kernels."""
        build = outside_inference_mode(mel_update_tables)
        return build(self.M_matrix, self.M_norm_matrix, self._free_share, self.device)

    @functools.cached_property
    def inner_center(self) -> int:
        """The bin where the filter before the last one has its peak, or 0 if there is none."""
        nonempty = self.M_matrix[self.M_matrix.any(1)]
        return int(nonempty[-2].argmax()) if len(nonempty) > 1 else 0

    @outside_inference_mode
    def lowest(self, n_freqs: int) -> MelTargetTables:
        """Return the tables of the lowest n_freqs bins and of the rows that end below the last."""
        if n_freqs not in self._lowest:
            beyond = self.M_matrix[:, n_freqs - 1 :].any(1)
            n_rows = int((beyond.cumsum(0) == 0).sum())
            upper = self.edges.upper
            edges = self.edges._replace(upper=upper._replace(filter=upper.filter[:0, :n_freqs]))
            M, share = self.M_matrix[:n_rows, :n_freqs], self.M_matrix.sum(0)[:n_freqs]
            tables = _tables(M, share, edges, self.per_band.dtype, self.device)
            rest = (share > 0).to(share.dtype) - tables.M_norm_matrix.sum(0)
            rest = rest.to(self.per_band.dtype).to(self.device)
            self._lowest[n_freqs] = dataclasses.replace(tables, rest=rest)
        return self._lowest[n_freqs]


@cached_table
def mel_target_tables(
    matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device
) -> MelTargetTables:
    """Build the tables on the CPU in float64, then move them."""
    edges = edge_filters(matrix)
    M = torch.cat([edges.lower.filter, matrix.table, edges.upper.filter])
    return _tables(M, M.sum(0), edges, dtype, device)


def _tables(
    M: Tensor, share: Tensor, edges: EdgeFilters, dtype: torch.dtype, device: torch.device
) -> MelTargetTables:
    """Return the tables of M; `share` is Mᵀ1, with the rows that M leaves out."""
    M_norm = safe_divide(M, share)
    return MelTargetTables(
        M=Banded(M, CHUNK_OF_BANDS).to(dtype, device),
        M_T=Banded(M.T, CHUNK_OF_BINS).to(dtype, device),
        M_norm=Banded(M_norm, CHUNK_OF_BANDS).to(dtype, device),
        M_norm_T=Banded(M_norm.T, CHUNK_OF_BINS).to(dtype, device),
        per_band=safe_divide(torch.ones_like(M[:, 0]), M.sum(1)).to(dtype).to(device),
        free_dc=bool((share[0] == 0) & (share[1] > 0)),
        edges=edges,
        device=device,
        M_matrix=M,
        M_norm_matrix=M_norm,
    )
