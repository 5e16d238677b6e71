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
    low, high = hz_to_mel([convention.f_min, convention.f_max], convention.mel_scale)
    return torch.from_numpy(mel_to_hz(np.linspace(low, high, convention.n_mels + 2), convention.mel_scale))


@functools.lru_cache(maxsize=64)
@lasting
def mel_matrix(convention: MelConvention) -> Tensor:
    """The filterbank in float64 on the CPU, (n_mels, n_freqs).

    Triangles are straight lines in Hz, on Kaldi's scale in mel. `slaney` norm gives each the area 1 in Hz. Kaldi gives the
    last bin no weight. Equal to `librosa.filters.mel` for the scales that it has.
    """
    bins = np.arange(convention.n_freqs) * (convention.filterbank_sample_rate / convention.n_fft)
    hz = band_edges(convention).numpy()
    edges, position = hz, bins
    if convention.mel_scale == "kaldi":
        edges, position = hz_to_mel(hz, "kaldi"), hz_to_mel(bins, "kaldi")
    width = np.diff(edges)[:, None]
    rise = (position - edges[:-2, None]) / width[:-1]
    fall = (edges[2:, None] - position) / width[1:]
    matrix = np.maximum(0, np.minimum(rise, fall))
    if convention.filter_norm == "slaney":
        matrix *= (2 / (hz[2:] - hz[:-2]))[:, None]
    if convention.mel_scale == "kaldi":
        matrix[:, -1] = 0
    return torch.from_numpy(matrix)


class MelFilterbank(nn.Module):
    """A filterbank M (n_mels, n_freqs), kept in float64 and applied in the input's dtype on the input's device.

    Made from a convention, or from any non-negative matrix. Every method takes and returns (…, rows, n_frames).
    """

    def __init__(self, source: MelConvention | Tensor) -> None:
        super().__init__()
        if isinstance(source, Tensor):
            table = lasting(lambda: as_real(source, "filterbank").detach().to("cpu").double().clone())()
            if table.ndim != 2 or not torch.isfinite(table).all() or (table < 0).any():
                raise InputError(f"a filterbank is a finite matrix ≥ 0, (n_mels, n_freqs); this one is {tuple(table.shape)}")
        elif isinstance(source, MelConvention):
            table = mel_matrix(source)
        else:
            raise InputError(f"MelFilterbank takes a MelConvention or a matrix, not {type(source).__name__}")
        self.table = table
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

    @functools.cached_property
    def is_tridiagonal(self) -> bool:
        """Whether M diag(w) Mᵀ is tridiagonal for every w: no bin feeds two filters that are not neighbours."""
        feeds = (self.table > 0).double()
        return not (feeds @ feeds.T).triu(2).any()

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
