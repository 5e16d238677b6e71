"""What phase gradient heap integration reads off a magnitude, by one kernel: some thirty passes of the reference's.

Weights and the angle's rises from bin to bin, as phase/pghi.py has them, to float32 rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.ops.nvrtc import Kernel, launch

KERNEL = Kernel("pghi.cu", "pghi_steps")
MOST_FREQS = 8448  # of which three frames fit the 99 KB of shared memory that a block can have on all devices since 8.0


def why_not(n_freqs: int) -> str | None:
    """What keeps the kernel from it, if anything does."""
    return f"{n_freqs} bins are more than {MOST_FREQS}" if n_freqs > MOST_FREQS else None


def steps(magnitude: Tensor, peak: Tensor, turn: Tensor, ratio: float, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Magnitude (items, frames, n_freqs) -> weight, rises to the next frame and to the next bin: one fewer of those.

    `peak` (items,): each item's largest value; `turn` (n_freqs,): what a bin's own frequency turns in one hop; `ratio`: hop n_fft
    / γ; bins at most `tolerance` times the peak weigh nothing.
    """
    items, frames, n_freqs = magnitude.shape
    weight = torch.empty_like(magnitude)
    down, right = magnitude.new_empty(items, frames - 1, n_freqs), magnitude.new_empty(items, frames, n_freqs - 1)
    if magnitude.numel():
        given, numbers = (magnitude, peak, turn), (ratio, tolerance, frames, n_freqs)
        launch(KERNEL, (items * frames, 1), 256, *given, weight, down, right, *numbers, shared_bytes=12 * n_freqs)
    return weight, down, right
