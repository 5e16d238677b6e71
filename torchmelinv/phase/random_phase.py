"""Random phases as a function of seed, frame and bin, on all devices and in any batch."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor

from torchmelinv._utils.table_cache import cached_by_value
from torchmelinv.phase.turns import sizes_are_known

Number = TypeVar("Number", int, Tensor)
_LOW_32 = 0xFFFFFFFF


def _scramble(number: Number) -> Number:
    """Mix the bits of 32-bit integers, held in int64, by xor and multiplication; a bijection."""
    number = number ^ (number >> 16)
    number = (number * 0x7FEB352D) & _LOW_32
    number = number ^ (number >> 15)
    number = (number * 0x846CA68B) & _LOW_32
    return number ^ (number >> 16)


def _phasors(
    seed: int,
    n_frames: int,
    n_freqs: int,
    dtype: torch.dtype,
    device: torch.device,
    first: int = 0,
) -> Tensor:
    root = _scramble((seed & _LOW_32) ^ _scramble((seed >> 32) & _LOW_32))
    frames = _scramble(root ^ torch.arange(first + 1, first + n_frames + 1, device=device))
    grid = _scramble(
        (frames[:, None] + torch.arange(n_freqs, device=device) * 0x9E3779B1) & _LOW_32
    )
    angles = grid.to(dtype) * (2 * math.pi / 2**32)
    return torch.complex(angles.cos(), angles.sin())


_cached_phasors = cached_by_value(maxsize=4)(_phasors)
_LARGEST_CACHED = 2**22  # phasors in one table


def random_phasors(
    seed: int,
    n_frames: int,
    n_freqs: int,
    dtype: torch.dtype,
    device: torch.device,
    first: int = 0,
) -> Tensor:
    """Return exp(iφ) with φ uniform on the circle, complex (n_frames, n_freqs), from frame `first`.

    `dtype` is that of real and imaginary part. No random generator is used. A longer item's phasors
    begin with a shorter item's, so a few cached tables, powers of two long, serve all items; very
    long ones are not cached.
    """
    if not sizes_are_known(n_frames, first):
        return _phasors(seed, n_frames, n_freqs, dtype, device, first)
    cached = max(1024, 1 << (n_frames - 1).bit_length())
    if first or cached * n_freqs > _LARGEST_CACHED:
        return _phasors(seed, n_frames, n_freqs, dtype, device, first)
    return _cached_phasors(seed, cached, n_freqs, dtype, device)[:n_frames]


def frame_phasors(
    seed: int, frame: int, n_freqs: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return row `frame` of `random_phasors`, complex (n_freqs,), without the rows before it."""
    return _phasors(seed, 1, n_freqs, dtype, device, frame)[0]
