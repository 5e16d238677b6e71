"""The filterbank of a Newton iteration: every filter scaled to a peak of 1, and its Hessians."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.table_cache import cached_table
from torchmelinv.cuda import newton_cuda, nvrtc
from torchmelinv.magnitude.tridiagonal import solve_tridiagonal
from torchmelinv.transforms.banded import CHUNK_OF_BANDS, Banded
from torchmelinv.transforms.constant_matrix import ConstantMatrix

GRAM_RIDGE = 1e-4  # of a filter with one bin: filters that share their only bins have no inverse


class ScaledFilterbank:
    """The filterbank M with every filter divided by its peak; empty filters stay 0."""

    def __init__(
        self, filterbank: ConstantMatrix, dtype: torch.dtype, device: torch.device
    ) -> None:
        peak = filterbank.table.amax(1, keepdim=True)
        inverse_peak = safe_divide(torch.ones_like(peak), peak)
        matrix = safe_divide(filterbank.table, peak)
        neighbor = torch.cat([matrix[1:], torch.zeros_like(matrix[:1])])
        pairs = torch.stack([matrix.square(), matrix * neighbor], 1).flatten(0, 1)
        self.is_tridiagonal = filterbank.is_tridiagonal
        self.peak, self.matrix = (table.to(dtype).to(device) for table in (peak, matrix))
        self.forward = Banded(matrix, CHUNK_OF_BANDS).to(dtype, device)
        self.adjoint = Banded(matrix.T.contiguous(), 4 * CHUNK_OF_BANDS).to(dtype, device)
        # Two rows per band: the diagonal of M diag(slope) Mᵀ, and the entry next to it.
        self.pairs = Banded(pairs, 2 * CHUNK_OF_BANDS).to(dtype, device)
        self._matrix = matrix  # in float64 on the CPU

        # d with Σ_k d_k M_kf ≤ 1 for all bins f, as large as the fullest bin of each filter allows.
        fullest = torch.where(matrix > 0, matrix.sum(0), 0).amax(1, keepdim=True)
        scale = safe_divide(torch.ones_like(fullest), fullest)
        self.inverse_peak, self.scale = (
            table.to(dtype).to(device) for table in (inverse_peak, scale)
        )

    @functools.cached_property
    @outside_inference_mode
    def gram_inverse(self) -> Tensor:
        """(M Mᵀ)⁻¹, of which most methods make no use: large if there are thousands of bands."""
        gram = self._matrix @ self._matrix.T
        inverse = torch.linalg.inv(gram + GRAM_RIDGE * torch.eye(len(gram), dtype=gram.dtype))
        return inverse.to(self.matrix.dtype).to(self.matrix.device)

    @functools.cached_property
    def _unsupported_filters(self) -> str | None:
        return newton_cuda.unsupported_reason(self._matrix.to(self.matrix.dtype))

    def unsupported_reason(self, method: str) -> str | None:
        """Return why the CUDA kernels cannot compute a method here, or None if they can."""
        reason = nvrtc.unsupported_reason(self.matrix) or newton_cuda.unsupported_method(method)
        return reason or self._unsupported_filters

    @functools.cached_property
    def kernel_tables(self) -> newton_cuda.Tables:
        """The tables in the layout of the CUDA kernels."""
        return newton_cuda.tables(self.matrix)

    def hessian_inverse(self, slope: Tensor, ridge: Tensor) -> Callable[[Tensor], Tensor]:
        """Return r ↦ (M diag(slope) Mᵀ + diag(ridge))⁻¹ r for r of (items, n_mels, frames).

        Adds the ridge that the precision of the dtype needs.
        """
        diagonal, off_diagonal = (self.pairs @ slope).unflatten(-2, (-1, 2)).unbind(-2)
        eps = torch.finfo(slope.dtype).eps
        ridge = ridge + 1e3 * eps * diagonal + eps * diagonal.amax(-2, keepdim=True)
        if self.is_tridiagonal:
            return functools.partial(solve_tridiagonal, diagonal + ridge, off_diagonal[..., :-1, :])
        hessian = torch.einsum("kf,...ft,lf->...tkl", self.matrix, slope, self.matrix)
        hessian = hessian + torch.diag_embed(ridge.mT)
        return lambda right: torch.linalg.solve(hessian, right.mT[..., None])[..., 0].mT


# scaled_filterbank(filterbank.matrix, like): built once for each matrix, dtype and device.
scaled_filterbank = cached_table(ScaledFilterbank)
