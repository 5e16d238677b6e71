"""The mel filterbank as a linear map: forward, adjoint, truncated pseudo-inverse, band edges, rank.

Filters are triangles that meet at each other's centers, so a bin feeds at most two neighboring
filters and M diag(w) Mᵀ is tridiagonal for any weights w. This makes the methods of `magnitude`
cheap.
"""

from __future__ import annotations

import functools
import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.module import Module
from torchmelinv._utils.precision import full_precision, outside_inference_mode
from torchmelinv._utils.validation import check_features, check_real
from torchmelinv._utils.warning import warn_caller
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.errors import EmptyFilterWarning, InputError
from torchmelinv.transforms.constant_matrix import ConstantMatrix
from torchmelinv.transforms.mel_scale import hz_to_mel, mel_to_hz

__all__ = ["LinearMap", "MelFilterbank"]

# The part of empty filters that needs no warning: nobody can change published mels, of which
# torchaudio's defaults have 4 of 128 and AST has 1 of 128.
_USUAL_EMPTY = 1 / 20


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def band_edges(convention: MelConvention) -> Tensor:
    """Return the filters' edges and centers in Hz, float64 (n_mels + 2,).

    Filter k rises from entry k to k + 1 and falls to k + 2.
    """
    return torch.from_numpy(
        mel_edges(convention.n_mels, convention.f_min, convention.f_max, convention.mel_scale)
    )


def mel_edges(n_mels: int, f_min: float, f_max: float, mel_scale: str) -> NDArray[np.float64]:
    """Return n_mels + 2 frequencies in Hz, equally spaced in mel."""
    low, high = hz_to_mel([f_min, f_max], mel_scale)
    return mel_to_hz(np.linspace(low, high, n_mels + 2), mel_scale)


def mel_filters(
    bins: NDArray[np.float64], edges: NDArray[np.float64], mel_scale: str, norm: str | None
) -> NDArray[np.float64]:
    """Return triangular filters (n_mels, n_freqs).

    Args:
        bins: Frequencies of the bins in Hz, (n_freqs,).
        edges: Edges and centers of the filters in Hz, (n_mels + 2,), as from `mel_edges`.
        mel_scale: On ``"kaldi"`` the triangles are straight lines in mel, otherwise in Hz.
        norm: ``"slaney"`` for filters of area 1 in Hz, or None for a peak of 1.

    Returns:
        The filters in float64.
    """
    points, position = edges, bins
    if mel_scale == "kaldi":
        points, position = hz_to_mel(edges, "kaldi"), hz_to_mel(bins, "kaldi")
    width = np.diff(points)[:, None]
    rise = (position - points[:-2, None]) / width[:-1]
    fall = (points[2:, None] - position) / width[1:]
    matrix = np.maximum(0, np.minimum(rise, fall))
    return matrix * (2 / (edges[2:] - edges[:-2]))[:, None] if norm == "slaney" else matrix


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def mel_matrix(convention: MelConvention) -> Tensor:
    """Return a convention's filterbank in float64 on the CPU, (n_mels, n_freqs).

    It equals `librosa.filters.mel` on the scales that librosa has. Kaldi gives the last bin no
    weight.
    """
    spacing = convention.filterbank_sample_rate / convention.n_fft
    bins = np.arange(convention.n_freqs, dtype=np.float64) * spacing
    edges = band_edges(convention).numpy()
    matrix = mel_filters(bins, edges, convention.mel_scale, convention.filter_norm)
    if convention.mel_scale == "kaldi":
        matrix[:, -1] = 0
    return torch.from_numpy(matrix)


def warn_of_empty_filters(n_empty: int, n_mels: int, n_freqs: int) -> None:
    """Warn if there are empty filters."""
    if n_empty:
        warn_caller(
            f"{n_empty} of the {n_mels} mel filters are empty: they reach none of the {n_freqs} "
            "bins, so their bands hold nothing; use fewer bands, a larger n_fft, or a wider range "
            "of frequencies",
            EmptyFilterWarning,
        )


@functools.lru_cache(maxsize=64)
def shared_matrix(convention: MelConvention) -> ConstantMatrix:
    """Return the filterbank that all modules of a convention share."""
    return ConstantMatrix(mel_matrix(convention))


@outside_inference_mode
def _copied(matrix: Tensor) -> ConstantMatrix:
    """Return a copy of a user's matrix, which must be finite."""
    table = check_real(matrix, "matrix").detach().to("cpu").double().clone()
    if table.ndim != 2 or table.numel() == 0 or not torch.isfinite(table).all():
        raise InputError(
            "the matrix must be finite and of shape (rows ≥ 1, columns ≥ 1); "
            f"this one has shape {tuple(table.shape)}"
        )
    return ConstantMatrix(table)


class LinearMap(Module):
    """Multiply by a constant matrix M.

    The matrix is kept in float64 on the CPU as `table` and applied in the input's dtype on the
    input's device. The module has no parameters.

    Args:
        matrix: Real finite matrix (n_mels, n_freqs), which is copied. A `ConstantMatrix` is shared
            instead.

    Raises:
        InputError: If it is not such a matrix.

    Example:
        >>> import torch
        >>> from torchmelinv.transforms.mel_filterbank import LinearMap
        >>> linear_map = LinearMap(torch.tensor([[1.0, -1.0]]))
        >>> linear_map(torch.tensor([[3.0], [1.0]]))
        tensor([[2.]])
    """

    def __init__(self, matrix: Tensor | ConstantMatrix) -> None:
        super().__init__()
        self.matrix = matrix if isinstance(matrix, ConstantMatrix) else _copied(matrix)

    def extra_repr(self) -> str:
        """Return the sizes and the rank as text."""
        return f"n_mels={self.n_mels}, n_freqs={self.n_freqs}, rank={self.rank}"

    @property
    def n_mels(self) -> int:
        """Number of rows."""
        return self.matrix.shape[0]

    @property
    def n_freqs(self) -> int:
        """Number of columns."""
        return self.matrix.shape[1]

    @property
    def table(self) -> Tensor:
        """M in float64 on the CPU, (n_mels, n_freqs). Do not write to it: maps share it."""
        return self.matrix.table

    @property
    def rank(self) -> int:
        """Number of singular values above 1e-6 of the largest."""
        return self.matrix.rank

    @property
    def largest_singular_value(self) -> float:
        """The largest singular value, the matrix's spectral norm."""
        return self.matrix.largest_singular_value

    @property
    def pseudo_inverse(self) -> Tensor:
        """M⁺ in float64, (n_freqs, n_mels), without singular values below 1e-4 of the largest."""
        return self.matrix.pseudo_inverse

    @full_precision
    def forward(self, spectrum: Tensor) -> Tensor:
        """Compute M s.

        Args:
            spectrum: Linear spectrum s (…, n_freqs, n_frames). For a mel filterbank this is
                |STFT|^power, with the convention's offset or floor.

        Returns:
            Linear mel spectrogram (…, n_mels, n_frames).

        Raises:
            InputError: If the spectrum has another shape or is not real floating point.

        Shape:
            - spectrum: (…, n_freqs, n_frames)
            - output: (…, n_mels, n_frames)
        """
        spectrum = check_features(spectrum, "spectrum", self.n_freqs)
        return self.matrix.forward(spectrum)

    @full_precision
    def adjoint(self, mel: Tensor) -> Tensor:
        """Compute Mᵀ m.

        Args:
            mel: Linear mel spectrogram m (…, n_mels, n_frames).

        Returns:
            Linear spectrum (…, n_freqs, n_frames).

        Raises:
            InputError: If the mel has another shape or is not real floating point.

        Shape:
            - mel: (…, n_mels, n_frames)
            - output: (…, n_freqs, n_frames)
        """
        mel = check_features(mel, "mel", self.n_mels)
        return self.matrix.adjoint(mel)

    @full_precision
    def pinv(self, mel: Tensor) -> Tensor:
        """Compute M⁺ m, the spectrum of least norm among those closest to the mel.

        Args:
            mel: Linear mel spectrogram m (…, n_mels, n_frames).

        Returns:
            Linear spectrum (…, n_freqs, n_frames); not clipped at 0.

        Raises:
            InputError: If the mel has another shape or is not real floating point.

        Shape:
            - mel: (…, n_mels, n_frames)
            - output: (…, n_freqs, n_frames)
        """
        mel = check_features(mel, "mel", self.n_mels)
        return self.matrix.pinv(mel)


class MelFilterbank(LinearMap):
    """Apply the mel filterbank of a convention, or any non-negative matrix.

    Args:
        source: A `MelConvention`, a preset's name, the path of a JSON file, or a finite matrix ≥ 0,
            (n_mels, n_freqs).

    Raises:
        InputError: If the source is none of these, or the matrix is not finite and ≥ 0.
        ConventionError: If there is no such convention.

    Warns:
        EmptyFilterWarning: If more than a twentieth of a convention's filters are empty.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> filterbank = tmi.MelFilterbank("whisper_80")
        >>> filterbank
        MelFilterbank(n_mels=80, n_freqs=201, rank=79)
        >>> power = tmi.STFT("whisper_80")(torch.randn(16000)).abs().square()
        >>> filterbank(power).shape
        torch.Size([80, 100])
    """

    def __init__(self, source: MelConvention | str | os.PathLike[str] | Tensor) -> None:
        if not isinstance(source, MelConvention | str | os.PathLike | Tensor):
            raise InputError(
                "a MelFilterbank needs a MelConvention, a preset's name, the path of a JSON file "
                f"or a torch.Tensor (n_mels, n_freqs), not {type(source).__name__}"
            )
        if not isinstance(source, Tensor):
            super().__init__(shared_matrix(as_convention(source)))
            if self.n_empty > _USUAL_EMPTY * self.n_mels:
                warn_of_empty_filters(self.n_empty, self.n_mels, self.n_freqs)
            return
        super().__init__(source)
        if (self.table < 0).any():
            raise InputError(
                "the matrix of a MelFilterbank must be ≥ 0; this one has entries below 0"
            )

    @property
    def n_empty(self) -> int:
        """Number of filters that reach no bin."""
        return self.matrix.n_empty

    @property
    def is_tridiagonal(self) -> bool:
        """Whether M diag(w) Mᵀ is tridiagonal for all w: bins feed neighboring filters only."""
        return self.matrix.is_tridiagonal
