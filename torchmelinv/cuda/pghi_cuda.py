"""Weights and angle differences of phase gradient heap integration by one CUDA kernel.

The kernel replaces some thirty passes over the magnitude. The reference in plain torch is
`phase_steps` in `phase/pghi.py`; the results agree to float32 rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.cuda.nvrtc import Kernel, launch

KERNEL = Kernel("pghi.cu", "pghi_steps")
# Three frames of so many bins fit the 99 KB of shared memory that a block can have on all devices
# since compute capability 8.0.
MAX_FREQS = 8448


def unsupported_reason(n_freqs: int) -> str | None:
    """Return why the kernel cannot take so many bins, or None if it can."""
    return f"{n_freqs} bins are more than {MAX_FREQS}" if n_freqs > MAX_FREQS else None


def steps(
    magnitude: Tensor, peak: Tensor, hop_angle: Tensor, ratio: float, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights and the angle differences to the next frame and to the next bin.

    Args:
        magnitude: Magnitude (items, frames, n_freqs).
        peak: Largest value of each item, (items,).
        hop_angle: Angle that the center frequency of each bin advances per hop, (n_freqs,).
        ratio: hop n_fft / γ.
        tolerance: Bins at most this part of the peak get the weight 0.

    Returns:
        The weights (items, frames, n_freqs), and the differences (items, frames − 1, n_freqs) and
        (items, frames, n_freqs − 1).
    """
    items, frames, n_freqs = magnitude.shape
    weight = torch.empty_like(magnitude)
    down = magnitude.new_empty(items, frames - 1, n_freqs)
    right = magnitude.new_empty(items, frames, n_freqs - 1)
    if magnitude.numel():
        tensors = (magnitude, peak, hop_angle, weight, down, right)
        numbers = (ratio, tolerance, frames, n_freqs)
        launch(KERNEL, (items * frames, 1), 256, *tensors, *numbers, shared_bytes=12 * n_freqs)
    return weight, down, right
