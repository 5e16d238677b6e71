"""Random phases as a function of seed, frame and bin alone: the same on every device, for every item, batch and length."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from torchmelinv.ops.precision import lasting

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

    No generator is touched, and a longer item's phasors begin with a shorter item's. So a few tables, powers of two long,
    serve all; very long ones are not kept.
    """
    kept = max(1024, 1 << (n_frames - 1).bit_length())
    if kept * n_freqs > _LARGEST_KEPT:
        return _phasors(seed, n_frames, n_freqs, dtype, device)
    return _kept_phasors(seed, kept, n_freqs, dtype, device)[:n_frames]
