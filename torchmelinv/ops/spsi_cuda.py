"""Single-pass spectrogram inversion as two kernels: what phase/spsi.py computes, to float32 rounding.

One launch finds peaks, frequencies and advances of all frames; the other follows the angles from frame to frame, one block an
item, with the angles of two frames in shared memory. The reference asks for three launches in each frame.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.ops.nvrtc import Kernel, launch

FAINT = 1e-6  # a neighbour this far below its peak says no more about where between bins the peak is; and zero has no logarithm
MOST_THREADS = 1024
MOST_FREQS = 9 * MOST_THREADS  # more bins of a thread would not fit its registers
ADVANCE = Kernel("spsi.cu", "spsi_advance", (("FAINT", FAINT), ("BINS", 1), ("AHEAD", 4)))


def _angles_kernel(n_freqs: int) -> Kernel:
    bins = -(-n_freqs // MOST_THREADS)
    ahead = 4 if bins <= 2 else 2 if bins <= 4 else 1
    return Kernel("spsi.cu", "spsi_angles", (("FAINT", FAINT), ("BINS", bins), ("AHEAD", ahead)))


def kernels() -> list[Kernel]:
    """Those of usual sizes, to be compiled without a device."""
    return [ADVANCE, *(_angles_kernel(n_freqs) for n_freqs in (513, 1025, 4097))]


def why_not(n_freqs: int) -> str | None:
    """What keeps the kernels from it, if anything does."""
    return f"{n_freqs} bins are more than {MOST_FREQS}" if n_freqs > MOST_FREQS else None


def spsi(magnitude: Tensor, turn: Tensor, bin_turn: float, centring: Tensor, previous: Tensor | None) -> Tensor:
    """Magnitude (items, frames, n_freqs) -> angles, the same shape.

    `turn` (n_freqs,): what a bin's own frequency turns in one hop; `bin_turn`: what one bin more does; `centring` (n_freqs,): the
    angle from the window's centre minus that from the frame's first sample; `previous` (items, n_freqs): as in phase/spsi.py.
    """
    items, frames, n_freqs = magnitude.shape
    angles = torch.empty_like(magnitude)
    if not magnitude.numel():
        return angles
    peak = torch.empty(magnitude.shape, dtype=torch.int32, device=magnitude.device)
    advance = torch.empty_like(magnitude)
    shared = 8 * (n_freqs + -(-n_freqs // 32))
    block = min(256, 32 * -(-n_freqs // 32))
    launch(ADVANCE, (items * frames, 1), block, magnitude, turn, peak, advance, bin_turn, frames, n_freqs, shared_bytes=shared)
    kernel = _angles_kernel(n_freqs)
    block = 32 * -(-n_freqs // (32 * -(-n_freqs // MOST_THREADS)))
    given = peak, advance, centring, previous
    launch(kernel, (items, 1), block, *given, angles, frames, n_freqs, shared_bytes=8 * n_freqs)
    return angles
