"""Where a phase iteration starts: zero, random, given angles, or the phase of a given waveform."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv.errors import InputError, nearest
from torchmelinv.ops.impose_magnitude import impose_magnitude
from torchmelinv.ops.precision import lasting

STARTS = ("zero", "random")
_LOW_32 = 0xFFFFFFFF


def _scramble(number: Tensor) -> Tensor:
    """A bijection of 32-bit integers, held in int64, that spreads every input bit over all output bits (xor and multiply)."""
    number = number ^ (number >> 16)
    number = (number * 0x7FEB352D) & _LOW_32
    number = number ^ (number >> 15)
    number = (number * 0x846CA68B) & _LOW_32
    return number ^ (number >> 16)


def _phasors(seed: int, n_frames: int, n_freqs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    low, high = (torch.tensor(half & _LOW_32, device=device) for half in (seed, seed >> 32))
    root = _scramble(low ^ _scramble(high))
    frames = _scramble(root ^ torch.arange(1, n_frames + 1, device=device))
    grid = _scramble((frames[:, None] + torch.arange(n_freqs, device=device) * 0x9E3779B1) & _LOW_32)
    angles = grid.to(dtype) * (2 * math.pi / 2**32)
    return torch.complex(angles.cos(), angles.sin())


_kept_phasors = functools.lru_cache(maxsize=4)(lasting(_phasors))
_LARGEST_KEPT = 2**22  # phasors in one table


def random_phasors(seed: int, n_frames: int, n_freqs: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """exp(iφ) with φ uniform on the circle, (n_frames, n_freqs), complex; `dtype` is that of its parts.

    φ is a function of seed, frame and bin alone, on every device the same: no generator is touched, and a longer item's
    phasors begin with a shorter item's. So a few tables, powers of two long, serve all; very long ones are not kept.
    """
    kept = max(1024, 1 << (n_frames - 1).bit_length())
    if kept * n_freqs > _LARGEST_KEPT:
        return _phasors(seed, n_frames, n_freqs, dtype, device)
    return _kept_phasors(seed, kept, n_freqs, dtype, device)[:n_frames]


def start_spectrum(start: str | Tensor, seed: int, magnitude: Tensor) -> Tensor:
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
