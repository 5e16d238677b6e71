"""Angles that the bins of a frame collect over a time: what turns one phase reference into another.

A spectrum here is the rfft of a frame, so its angles refer to the frame's first sample. Seen from the window's centre c they are
simpler: there the window is real and even, the main lobe of one sinusoid has one angle in all its bins, and a Gaussian
window's angles follow from its magnitude alone. The two references differ by a table:

    angle from the centre = angle + 2π k c / n_fft,    k = 0 … n_fft / 2.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention


def _periodic(window: str | tuple[float, ...]) -> bool:
    """Whether a window is even without its first number rather than with it."""
    if isinstance(window, str):
        return window == "hann"
    numbers = np.array(window)
    return bool(np.abs(numbers[1:] - numbers[:0:-1]).sum() < np.abs(numbers - numbers[::-1]).sum())


def window_centre(convention: FrameConvention) -> float:
    """Where the window's centre of symmetry lies in its frame, in samples: a whole number or a half."""
    free = convention.n_fft - convention.win_length
    left = 0 if convention.window_align == "left" else free // 2
    # A periodic window begins with a number, Hann's with a zero, that has no partner at the end.
    return left + (convention.win_length - (not _periodic(convention.window))) / 2


def bin_angles(convention: FrameConvention, samples: float, like: Tensor) -> Tensor:
    """2π k samples / n_fft of every bin k, (n_freqs,), within [0, 2π), on `like`'s device and in its dtype.

    `samples` is a whole number or a half: whole turns are taken off in integers, so that no bin loses digits to them.
    """
    half_turns = torch.arange(convention.n_freqs, device=like.device) * round(2 * samples)
    return half_turns.remainder(2 * convention.n_fft).to(like.dtype) * (math.pi / convention.n_fft)
