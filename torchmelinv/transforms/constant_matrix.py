"""A constant matrix with what is computed from it once: rank, norm, pseudo-inverse and products.

All maps of one convention share one `ConstantMatrix`, and the tables of `cached_table` belong to
it: they are built once for each convention, dtype and device.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.table_cache import GraphTable, cached_table
from torchmelinv._utils.tracing import is_traced
from torchmelinv.transforms.banded import CHUNK_OF_BANDS, CHUNK_OF_BINS, Banded

# Cut-offs relative to the largest singular value. Below the first, a singular value does not count
# for the rank; below the second, it is too small to divide by in float32. One of Whisper's 80 bands
# on 201 bins lies between them, at 3e-6; the next larger values are 0.03 and above.
RANK_TOLERANCE, INVERSE_TOLERANCE = 1e-6, 1e-4


@outside_inference_mode
def _pinv(table: Tensor) -> Tensor:
    return torch.linalg.pinv(table, rtol=INVERSE_TOLERANCE)


class ConstantMatrix:
    """A matrix (n_mels, n_freqs) in float64 on the CPU that never changes; hashed by identity."""

    def __init__(self, table: Tensor) -> None:
        self.table, self.shape = table, tuple(table.shape)
        self._graph_table = GraphTable(lambda: table)
        self._graph_pinv = GraphTable(lambda: _pinv(table))

    def __deepcopy__(self, memo: dict[int, Any]) -> ConstantMatrix:
        """Return the matrix itself: copies of a module share the tables."""
        return self

    def __reduce__(self) -> tuple[type[ConstantMatrix], tuple[Tensor]]:
        """Pickle the values alone; the rest is computed again."""
        return ConstantMatrix, (self.table,)

    @functools.cached_property
    def rank(self) -> int:
        """Number of singular values above 1e-6 of the largest."""
        singular = torch.linalg.svdvals(self.table)
        return int((singular > RANK_TOLERANCE * singular[0]).sum())

    @functools.cached_property
    def n_empty(self) -> int:
        """Number of rows that are 0."""
        return int((self.table == 0).all(1).sum())

    @functools.cached_property
    def largest_singular_value(self) -> float:
        """The largest singular value, the matrix's spectral norm."""
        return float(torch.linalg.matrix_norm(self.table, 2))

    @functools.cached_property
    def pseudo_inverse(self) -> Tensor:
        """M⁺ in float64, (n_freqs, n_mels), without singular values below 1e-4 of the largest."""
        return _pinv(self.table)

    @functools.cached_property
    def is_tridiagonal(self) -> bool:
        """Whether M diag(w) Mᵀ is tridiagonal for all w: bins feed neighboring filters only."""
        feeds = (self.table != 0).to(torch.uint8)
        first, last = feeds.argmax(0), len(feeds) - 1 - feeds.flip(0).argmax(0)
        return bool(((last - first <= 1) | (feeds == 0).all(0)).all())

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return M s. Traced graphs get dense matrices, here and below."""
        if is_traced(spectrum):
            return self._graph_table.like(spectrum) @ spectrum
        return forward_product(self, spectrum) @ spectrum

    def adjoint(self, mel: Tensor) -> Tensor:
        """Return Mᵀ m."""
        if is_traced(mel):
            return self._graph_table.like(mel).mT @ mel
        return adjoint_product(self, mel) @ mel

    def pinv(self, mel: Tensor) -> Tensor:
        """Return M⁺ m."""
        if is_traced(mel):
            return self._graph_pinv.like(mel) @ mel
        return pinv_product(self, mel) @ mel


@cached_table
def forward_product(matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device) -> Banded:
    """Return the table of s ↦ M s."""
    return Banded(matrix.table, CHUNK_OF_BANDS).to(dtype, device)


@cached_table
def adjoint_product(matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device) -> Banded:
    """Return the table of m ↦ Mᵀ m."""
    return Banded(matrix.table.T, CHUNK_OF_BINS).to(dtype, device)


@cached_table
def pinv_product(matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device) -> Banded:
    """Return the table of m ↦ M⁺ m."""
    return Banded(matrix.pseudo_inverse, len(matrix.pseudo_inverse)).to(dtype, device)
