"""Where a phase iteration starts: zero, random, a phase read off the magnitude, given angles, or a given waveform's phase."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError, nearest
from torchmelinv.ops.impose_magnitude import impose_magnitude
from torchmelinv.phase.random_phase import random_phasors

STARTS = ("zero", "random")


def start_spectrum(start: str | Tensor, seed: int, magnitude: Tensor, convention: FrameConvention) -> Tensor:
    """Complex spectrum with the given magnitude (items, n_frames, n_freqs) and the angles of the start.

    `start`: `zero`, `random` (uniform on the circle), or angles in radians like the magnitude.
    """
    if isinstance(start, Tensor):
        angles = start.to(magnitude.dtype)
        return torch.complex(magnitude * angles.cos(), magnitude * angles.sin())
    if start == "zero":
        return torch.complex(magnitude, torch.zeros_like(magnitude))
    if start == "random":
        return random_phasors(seed, magnitude.shape[-2], magnitude.shape[-1], magnitude.dtype, magnitude.device) * magnitude
    allowed = f"{' or '.join(map(repr, STARTS))}, or angles"
    raise InputError(f"start is {start!r}; it must be {allowed}{nearest(str(start), STARTS)}")


def borrow_phase(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Complex spectrum with the given magnitude and the phase of another; where that one is zero, the angle is 0."""
    return impose_magnitude(torch.where(spectrum == 0, torch.ones_like(spectrum), spectrum), magnitude)
