"""The mel filterbank as a linear map with its relatives: forward, adjoint, truncated pseudo-inverse, band edges, rank.

Filters are triangles that meet at each other's centres, so a bin feeds at most two neighbouring filters and M diag(w) Mᵀ is
tridiagonal for any weights w. That is what makes the inverses of the `magnitude` room cheap.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.ops.banded import ROWS_IN_A_CHUNK, Banded
from torchmelinv.ops.checks import as_real, as_rows
from torchmelinv.ops.precision import full_precision, lasting
from torchmelinv.scale import hz_to_mel, mel_to_hz

# Singular values below these parts of the largest: not there, and too small to divide by in float32. Between the two lies
# one of Whisper's 80 bands on 201 bins, at 3e-6; next above come 0.03 and more.
RANK_TOLERANCE, INVERSE_TOLERANCE = 1e-6, 1e-4

T = TypeVar("T")


@functools.lru_cache(maxsize=64)
@lasting
def band_edges(convention: MelConvention) -> Tensor:
    """Edges and centres of the filters in Hz, float64 (n_mels + 2,): filter k rises from k to k + 1 and falls to k + 2."""
    return torch.from_numpy(mel_edges(convention.n_mels, convention.f_min, convention.f_max, convention.mel_scale))


def mel_edges(n_mels: int, f_min: float, f_max: float, mel_scale: str) -> NDArray[np.float64]:
    """n_mels + 2 frequencies in Hz, equally far apart in mel."""
    low, high = hz_to_mel([f_min, f_max], mel_scale)
    return mel_to_hz(np.linspace(low, high, n_mels + 2), mel_scale)


def mel_filters(bins: NDArray[np.float64], edges: NDArray[np.float64], mel_scale: str, norm: str | None) -> NDArray[np.float64]:
    """Triangles (n_mels, n_freqs) over bins at any frequencies in Hz, from `mel_edges`; otherwise as `mel_matrix`."""
    points, position = edges, bins
    if mel_scale == "kaldi":
        points, position = hz_to_mel(edges, "kaldi"), hz_to_mel(bins, "kaldi")
    width = np.diff(points)[:, None]
    rise = (position - points[:-2, None]) / width[:-1]
    fall = (points[2:, None] - position) / width[1:]
    matrix = np.maximum(0, np.minimum(rise, fall))
    return matrix * (2 / (edges[2:] - edges[:-2]))[:, None] if norm == "slaney" else matrix


@functools.lru_cache(maxsize=64)
@lasting
def mel_matrix(convention: MelConvention) -> Tensor:
    """The filterbank in float64 on the CPU, (n_mels, n_freqs).

    Triangles are straight lines in Hz, on Kaldi's scale in mel. `slaney` norm gives each the area 1 in Hz. Kaldi gives the
    last bin no weight. Equal to `librosa.filters.mel` for the scales that it has.
    """
    bins = np.arange(convention.n_freqs, dtype=np.float64) * (convention.filterbank_sample_rate / convention.n_fft)
    matrix = mel_filters(bins, band_edges(convention).numpy(), convention.mel_scale, convention.filter_norm)
    if convention.mel_scale == "kaldi":
        matrix[:, -1] = 0
    return torch.from_numpy(matrix)


class LinearMap(nn.Module):
    """A matrix M (n_mels, n_freqs), kept in float64 and applied in the input's dtype on the input's device.

    Every method takes and returns (…, rows, n_frames). `InputError` for what is no finite matrix.
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.table = lasting(lambda: as_real(matrix, "matrix").detach().to("cpu").double().clone())()
        if self.table.ndim != 2 or self.table.numel() == 0 or not torch.isfinite(self.table).all():
            raise InputError(f"the matrix must be finite, (rows ≥ 1, columns ≥ 1); this one is {tuple(self.table.shape)}")
        self._derived: dict[tuple[str, torch.dtype, torch.device], Any] = {}

    def extra_repr(self) -> str:
        return f"n_mels={self.n_mels}, n_freqs={self.n_freqs}, rank={self.rank}"

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_derived": {}}

    @property
    def n_mels(self) -> int:
        return self.table.shape[0]

    @property
    def n_freqs(self) -> int:
        return self.table.shape[1]

    @functools.cached_property
    def rank(self) -> int:
        """Number of singular values above 1e-6 of the largest."""
        singular = torch.linalg.svdvals(self.table)
        return int((singular > RANK_TOLERANCE * singular[0]).sum())

    @functools.cached_property
    def largest_singular_value(self) -> float:
        """σ_max(M), the filterbank's norm."""
        return float(torch.linalg.matrix_norm(self.table, 2))

    @functools.cached_property
    def pseudo_inverse(self) -> Tensor:
        """M⁺ in float64, (n_freqs, n_mels), without singular values below 1e-4 of the largest."""
        return lasting(torch.linalg.pinv)(self.table, rtol=INVERSE_TOLERANCE)

    def operator(self, name: str, like: Tensor) -> Banded:
        """`forward`, `adjoint` or `pinv` as a banded product in `like`'s dtype on its device, made once for each."""

        def make() -> Banded:
            if name == "pinv":
                return Banded(self.pseudo_inverse.to(like.dtype).to(like.device), self.n_freqs)
            table, rows = (self.table, ROWS_IN_A_CHUNK) if name == "forward" else (self.table.T, 4 * ROWS_IN_A_CHUNK)
            return Banded(table.to(like.dtype).to(like.device), rows)

        return self.derived(name, like, make)

    def derived(self, name: str, like: Tensor, make: Callable[[], T]) -> T:
        """What `make()` gives, made once for each name, dtype and device: tables in the form that a computation needs."""
        key = (name, like.dtype, like.device)
        if key not in self._derived:
            self._derived[key] = lasting(make)()
        return self._derived[key]

    def _apply_table(self, name: str, tensor: Tensor, rows: int, what: str) -> Tensor:
        tensor = as_rows(tensor, what, rows)
        return self.operator(name, tensor) @ tensor

    @full_precision
    def forward(self, magnitude: Tensor) -> Tensor:
        """Magnitude (to the convention's power) (…, n_freqs, n_frames) -> mel M s, (…, n_mels, n_frames)."""
        return self._apply_table("forward", magnitude, self.n_freqs, "magnitude")

    @full_precision
    def adjoint(self, mel: Tensor) -> Tensor:
        """Mel (…, n_mels, n_frames) -> Mᵀ m, (…, n_freqs, n_frames)."""
        return self._apply_table("adjoint", mel, self.n_mels, "mel")

    @full_precision
    def pinv(self, mel: Tensor) -> Tensor:
        """Mel (…, n_mels, n_frames) -> M⁺ m, (…, n_freqs, n_frames): the smallest spectrum with that mel; not clipped at 0."""
        return self._apply_table("pinv", mel, self.n_mels, "mel")


class MelFilterbank(LinearMap):
    """A filterbank: the linear map of a convention, or any non-negative matrix."""

    def __init__(self, source: MelConvention | Tensor) -> None:
        if not isinstance(source, (MelConvention, Tensor)):
            raise InputError(f"MelFilterbank takes a MelConvention or a matrix, not {type(source).__name__}")
        super().__init__(mel_matrix(source) if isinstance(source, MelConvention) else source)
        if (self.table < 0).any():
            raise InputError("a filterbank is a finite matrix ≥ 0, (n_mels, n_freqs); this one has entries below 0")

    @functools.cached_property
    def is_tridiagonal(self) -> bool:
        """Whether M diag(w) Mᵀ is tridiagonal for every w: no bin feeds two filters that are not neighbours."""
        feeds = (self.table > 0).double()
        return not (feeds @ feeds.T).triu(2).any()
