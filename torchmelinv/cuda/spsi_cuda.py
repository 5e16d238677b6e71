"""Single-pass spectrogram inversion as two CUDA kernels.

One launch finds peaks, frequencies and advances of all frames; the other adds up the angles from
frame to frame, one block per item, with the angles of two frames in shared memory. The reference in
plain torch, with three launches per frame, is `spsi` in `phase/spsi.py`; the results agree to
float32 rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.cuda.nvrtc import Kernel, launch

# The neighbors of a peak are bounded below by this part of it: a quieter one adds nothing to the
# position of the peak between bins, and zero has no logarithm.
SMALLEST_RATIO = 1e-6
MAX_THREADS = 1024
MAX_FREQS = 9 * MAX_THREADS  # more bins per thread would not fit its registers
ADVANCE = Kernel(
    "spsi.cu", "spsi_advance", (("SMALLEST_RATIO", SMALLEST_RATIO), ("BINS", 1), ("AHEAD", 4))
)


def _angles_kernel(n_freqs: int) -> Kernel:
    bins = -(-n_freqs // MAX_THREADS)
    ahead = {1: 4, 2: 4, 3: 2, 4: 2}.get(bins, 1)  # frames that the registers have space for
    return Kernel(
        "spsi.cu",
        "spsi_angles",
        (("SMALLEST_RATIO", SMALLEST_RATIO), ("BINS", bins), ("AHEAD", ahead)),
    )


def kernels() -> list[Kernel]:
    """Return the kernels of usual sizes, to compile them without a device."""
    return [ADVANCE, *(_angles_kernel(n_freqs) for n_freqs in (513, 1025, 4097))]


def unsupported_reason(n_freqs: int) -> str | None:
    """Return why the kernels cannot take so many bins, or None if they can."""
    return f"{n_freqs} bins are more than {MAX_FREQS}" if n_freqs > MAX_FREQS else None


def spsi(
    magnitude: Tensor,
    bin_advance: Tensor,
    advance_per_bin: float,
    centering: Tensor,
    previous: Tensor | None,
) -> Tensor:
    """Return the angles of a magnitude (items, frames, n_freqs), in the same shape.

    Args:
        magnitude: Magnitude (items, frames, n_freqs).
        bin_advance: Angle that the center frequency of each bin advances per hop, (n_freqs,).
        advance_per_bin: The difference of two neighboring bins in that.
        centering: Angle at the center of the window minus that at the first sample, (n_freqs,).
        previous: Angles of the frame before the first, (items, n_freqs), as in `phase/spsi.py`.

    Returns:
        Angles in radians (items, frames, n_freqs).
    """
    items, frames, n_freqs = magnitude.shape
    angles = torch.empty_like(magnitude)
    if not magnitude.numel():
        return angles
    peak = torch.empty(magnitude.shape, dtype=torch.int32, device=magnitude.device)
    advance = torch.empty_like(magnitude)
    shared = 8 * (n_freqs + -(-n_freqs // 32))
    block = min(256, 32 * -(-n_freqs // 32))
    tensors = magnitude, bin_advance, peak, advance
    numbers = advance_per_bin, frames, n_freqs
    launch(ADVANCE, (items * frames, 1), block, *tensors, *numbers, shared_bytes=shared)
    kernel = _angles_kernel(n_freqs)
    block = 32 * -(-n_freqs // (32 * -(-n_freqs // MAX_THREADS)))
    inputs = peak, advance, centering, previous
    launch(kernel, (items, 1), block, *inputs, angles, frames, n_freqs, shared_bytes=8 * n_freqs)
    return angles
