"""Bounds that waveforms in [−1, 1] keep: of each band of the mel, and of each frame's energy.

By Parseval, the energy of a frame, Σ c |X|² with c = 2 for bins that have a mirrored one, else 1,
is at most E = n_fft Σw². With the linear mel m = M |X|^p, Hölder's inequality gives

    yᵀm ≤ ‖c^(−p/2) Mᵀy‖_q · (Σ c |X|²)^(p/2),    q = 2 / (2 − p), or ∞ from p = 2 on,

for every y ≥ 0. A single band as y bounds this band from above; any y bounds the energy of a given
mel from below.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.table_cache import cached_table, to_device
from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.compression import compress, decompress
from torchmelinv.transforms.constant_matrix import ConstantMatrix
from torchmelinv.transforms.mel_filterbank import mel_matrix, shared_matrix
from torchmelinv.transforms.window import window_table


def _least_power(convention: MelConvention) -> float:
    """Return the least |X|² that the filterbank sees."""
    return max(convention.magnitude_offset, convention.magnitude_floor)


def _bin_weights(convention: MelConvention) -> Tensor:
    """Return c^(−p/2), (n_freqs, 1) in float64."""
    sides = torch.full((convention.n_freqs, 1), 2.0, dtype=torch.float64, device="cpu")
    sides[0] = 1
    if convention.n_fft % 2 == 0:
        sides[-1] = 1
    return sides ** (-convention.power / 2)


def _dual_norm(values: Tensor, power: float) -> Tensor:
    """Return ‖values‖_q over the bins, (…, n_freqs, n) -> (…, 1, n)."""
    order = math.inf if power >= 2 else 2 / (2 - power)
    return torch.linalg.vector_norm(values, order, dim=-2, keepdim=True)


def _highest_energy(convention: MelConvention) -> float:
    """Return the highest energy of a frame that the filterbank sees, E with what is added to it."""
    a = convention.pre_emphasis
    # A sample minus the frame's mean, minus a times its predecessor minus that mean
    gain = 1 + a + (1 - a) * convention.remove_dc
    energy = convention.n_fft * float(window_table(convention).square().sum()) * gain**2
    return energy + convention.n_fft * _least_power(convention)


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def linear_bounds(convention: MelConvention) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest linear mel of each band, (n_mels, 1) each, in float64.

    They are cached: do not write to them.
    """
    matrix, power = mel_matrix(convention), convention.power
    lowest = matrix.sum(1, keepdim=True) * _least_power(convention) ** (power / 2)
    largest = _dual_norm(_bin_weights(convention) * matrix.T, power).T
    return lowest, largest * _highest_energy(convention) ** (power / 2)


class _EnergyTables(NamedTuple):
    """What `relative_energy` needs of a convention; columns of (n_mels, 1) or (n_freqs, 1)."""

    silence: Tensor  # linear mel of silence, as the compression leaves it
    width: Tensor  # sum of each filter over the bins
    scale: Tensor  # 1 / peak of each filter; 0 for an empty one
    weights: Tensor  # c^(−p/2) E^(p/2): energies are relative to E


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def _energy_tables(
    convention: MelConvention, dtype: torch.dtype, device: torch.device
) -> _EnergyTables:
    matrix, power = mel_matrix(convention), convention.power
    peak = matrix.amax(1, keepdim=True)
    absolute = convention.level.replace(reference_max=False, dynamic_range=None)
    tables = _EnergyTables(
        decompress(compress(linear_bounds(convention)[0], absolute), absolute),
        matrix.sum(1, keepdim=True),
        safe_divide(torch.ones_like(peak), peak),
        _bin_weights(convention) * _highest_energy(convention) ** (power / 2),
    )
    return _EnergyTables(*(table.to(dtype).to(device) for table in tables))


def relative_energy(linear_mel: Tensor, convention: MelConvention) -> Tensor:
    """Return the least energy of frames with this mel, relative to the highest in [−1, 1].

    Linear mel (…, n_mels, n_frames) -> (…, n_frames). The y of the bound is that of a spectrum as
    smooth as the filters. What a floor, an offset or a clip may have added to the mel is subtracted
    first.
    """
    tables = _energy_tables(convention, linear_mel.dtype, linear_mel.device)
    power = convention.power
    mel = (linear_mel - tables.silence).relu()
    y = tables.scale * safe_divide(mel, tables.width).pow(max(2 / power - 1, 0))
    spectrum = shared_matrix(convention).adjoint(y)
    norm = _dual_norm(tables.weights * spectrum, power)[..., 0, :]
    return safe_divide((y * mel).sum(-2), norm).pow(2 / power)


@cached_table
def _widths(matrix: ConstantMatrix, dtype: torch.dtype, device: torch.device) -> Tensor:
    return to_device(matrix.table.sum(1, keepdim=True), dtype, device)


def largest_density(mel: Tensor, convention: MelConvention) -> Tensor:
    """Return the largest mean of |STFT|^power within a band, or 0 if the power is at least 1."""
    if convention.power >= 1:
        return mel.new_zeros(())
    widths = _widths(shared_matrix(convention), mel)
    return safe_divide(decompress(mel, convention.level), widths).max()
