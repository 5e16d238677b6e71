"""Angles that bins gain over a time: the difference between two phase references.

A spectrum here is the rfft of a frame, so its angles refer to the frame's first sample. Relative to
the window's center c they are simpler: there the window is real and even, the main lobe of a
sinusoid has one angle in all its bins, and a Gaussian window's angles follow from its magnitude
alone. The two references differ by a table:

    angle from the center = angle + 2π k c / n_fft,    k = 0 … n_fft / 2.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.table_cache import cached_by_value
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.turns import TURN


def _periodic(window: str | tuple[float, ...]) -> bool:
    """Return whether a window is closer to even without its first value than with it."""
    if isinstance(window, str):
        return window == "hann"
    values = np.array(window)
    periodic = np.abs(values[1:] - values[:0:-1]).sum()
    return bool(periodic < np.abs(values - values[::-1]).sum())


def window_center(convention: STFTConvention) -> float:
    """Return the position of the window's center of symmetry in its frame, in samples or halves."""
    free = convention.n_fft - convention.win_length
    left = 0 if convention.window_align == "left" else free // 2
    # The first value of a periodic window (0 for Hann) has no partner at the end.
    return left + (convention.win_length - (not _periodic(convention.window))) / 2


@cached_by_value(maxsize=16)
def _bin_turns(convention: STFTConvention, half_samples: int, device: torch.device) -> Tensor:
    n_fft = 2 * convention.n_fft
    steps = torch.arange(convention.n_freqs, device=device) * half_samples
    whole, rest = steps // n_fft, steps % n_fft
    return whole * TURN + (rest * TURN + convention.n_fft) // n_fft


def bin_turns(convention: STFTConvention, samples: float, like: Tensor) -> Tensor:
    """Return k samples / n_fft of every bin k in turns (`turns.py`), with full ones, (n_freqs,).

    The device is that of `like`; `samples` is an integer or a half-integer.
    """
    return _bin_turns(convention, round(2 * samples), like.device)


@cached_by_value(maxsize=16)
def _bin_angles(
    convention: STFTConvention, half_samples: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    half_turns = torch.arange(convention.n_freqs, device=device) * half_samples
    return half_turns.remainder(2 * convention.n_fft).to(dtype) * (math.pi / convention.n_fft)


def bin_angles(convention: STFTConvention, samples: float, like: Tensor) -> Tensor:
    """Return 2π k samples / n_fft of every bin k, (n_freqs,), within [0, 2π).

    Device and dtype are those of `like`. `samples` is an integer or a half-integer: full turns are
    removed in integers, so that no bin loses precision.
    """
    return _bin_angles(convention, round(2 * samples), like.dtype, like.device)
