"""The least that an iteration must move and compute: what the times on a GPU are held against.

Bytes: each input read once, each output written once, in float32, whatever a cache may save. Operations: additions,
multiplications and the like, a square root counting as one; a transform of n real samples as 2.5 n log2 n.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torchmelinv.conventions import FrameConvention

WORDS = (
    "Bytes of an iteration, a frame, in float32: the magnitude (n_fft / 2 + 1 values; the mel's bands in its place), two signals "
    "read and one written (3 hops). Forward and backward: those again, the gradient of the magnitude read and written, and "
    "signals and their gradients, 4 (n_fft / 2 + 1) values and 8 hops in all. Operations: transforms as 2.5 n log2 n for n real "
    "samples, 3 n for windows, 7 a bin for imposing a magnitude, 4 a sample of the hop."
)


class Work(NamedTuple):
    """Of one iteration over all frames of a batch."""

    bytes: int
    flops: float

    def of(self, frames: int) -> Work:
        """That of one frame, times so many."""
        return Work(self.bytes * frames, self.flops * frames)


def _bins(frame: FrameConvention) -> int:
    return frame.n_fft // 2 + 1


def _transform(n_fft: int) -> float:
    return 2.5 * n_fft * math.log2(n_fft)


def fast_griffin_lim(frame: FrameConvention) -> Work:
    """One frame: momentum (3 a sample), window, transform, |c|² and its root (4 a bin), A / |c| · c (3), and back."""
    flops = 2 * _transform(frame.n_fft) + 3 * frame.n_fft + 7 * _bins(frame) + 4 * frame.hop_length
    return Work(4 * (_bins(frame) + 3 * frame.hop_length), flops)


def mel_consistent(frame: FrameConvention, n_mels: int, sweeps: int) -> Work:
    """One frame: a sweep multiplies each bin by two filters' weights on the way there and back (8), and s by its factor (1).

    The usual method relaxes: 6 more a sample.
    """
    plain = fast_griffin_lim(frame)
    return Work(4 * (n_mels + 3 * frame.hop_length), plain.flops + 9 * sweeps * _bins(frame) + 6 * frame.hop_length)


def entropic(n_freqs: int, n_mels: int, steps: float) -> Work:
    """One frame: the mel read and a magnitude written; a Newton step takes 16 a bin (exponent, exp, sums) and 8 a band."""
    return Work(4 * (n_freqs + n_mels), steps * (16 * n_freqs + 8 * n_mels))


def forward_and_backward(frame: FrameConvention) -> Work:
    """One frame, there and back: the way back transforms signal and gradient together and one spectrum back; 20 a bin."""
    there = fast_griffin_lim(frame)
    back = 3 * _transform(frame.n_fft) + 4 * frame.n_fft + 20 * _bins(frame) + 8 * frame.hop_length
    return Work(4 * (4 * _bins(frame) + 8 * frame.hop_length), there.flops + back)
