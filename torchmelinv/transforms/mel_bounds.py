"""Bounds of the linear mel spectrograms that waveforms in [−1, 1] have."""

from __future__ import annotations

from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.mel_filterbank import mel_matrix
from torchmelinv.transforms.window import window_table


def linear_bounds(convention: MelConvention) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest linear mel of each band, (n_mels, 1) each, in float64.

    By Parseval, Σ|X|² ≤ n_fft Σw² / 2 = E over the bins of one side. By Cauchy-Schwarz
    Σ M|X| ≤ √(ΣM² · E), and Σ M|X|² ≤ max M · E.
    """
    matrix = mel_matrix(convention)
    least = max(convention.magnitude_offset, convention.magnitude_floor)  # of |X|²
    lowest = matrix.sum(1, keepdim=True) * least ** (convention.power / 2)
    gain = (1 + convention.pre_emphasis) ** 2
    energy = convention.n_fft * float(window_table(convention).square().sum()) / 2 * gain
    energy += convention.n_freqs * least
    if convention.power == 2:
        highest = matrix.amax(1, keepdim=True) * energy
    else:
        highest = (matrix.square().sum(1, keepdim=True) * energy).sqrt() ** convention.power
    return lowest, highest
