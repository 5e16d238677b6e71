"""The least work of an iteration: bytes to read and write, and operations to compute."""

from __future__ import annotations

import math
from typing import NamedTuple

from torchmelinv.conventions import STFTConvention

MODEL = (
    "Bytes of an iteration, per frame, in float32: the magnitude (n_fft / 2 + 1 values; for a mel "
    "its bands), two signals read and one written (3 hops). Forward and backward: these twice, the "
    "gradient of the magnitude read and written, and the gradients of the signals, in total "
    "4 (n_fft / 2 + 1) values and 8 hops. Operations: 2.5 n log2 n for a transform of n real "
    "samples, 3 n for windows, 7 per bin to impose a magnitude, 4 per sample of the hop."
)


class Work(NamedTuple):
    """Bytes and operations, if each input is read once and each output is written once."""

    bytes: int
    flops: float

    def of(self, n_frames: int) -> Work:
        """Return the work of all frames."""
        return Work(self.bytes * n_frames, self.flops * n_frames)


def _transform(n_fft: int) -> float:
    return 2.5 * n_fft * math.log2(n_fft)


def fast_griffin_lim(stft: STFTConvention) -> Work:
    """Return the work of one frame.

    Momentum (3 operations per sample), window, transform, |c|² and its root (4 per bin),
    A / |c| · c (3 per bin), and back.
    """
    flops = 2 * _transform(stft.n_fft) + 3 * stft.n_fft + 7 * stft.n_freqs + 4 * stft.hop_length
    return Work(4 * (stft.n_freqs + 3 * stft.hop_length), flops)


def mel_consistent(stft: STFTConvention, n_mels: int, inner_iter: int) -> Work:
    """Return the work of one frame.

    An inner iteration multiplies each bin by the weights of two filters, forward and transposed
    (8), and by its gain (1). The relaxation of the default method takes 6 operations more per
    sample.
    """
    flops = fast_griffin_lim(stft).flops + 9 * inner_iter * stft.n_freqs + 6 * stft.hop_length
    return Work(4 * (n_mels + 3 * stft.hop_length), flops)


def entropic(n_freqs: int, n_mels: int, newton_steps: float) -> Work:
    """Return the work of one frame.

    A Newton step takes 16 operations per bin (exponent, exp, sums) and 8 per band.
    """
    return Work(4 * (n_freqs + n_mels), newton_steps * (16 * n_freqs + 8 * n_mels))


def forward_and_backward(stft: STFTConvention) -> Work:
    """Return the work of one frame.

    Backward transforms signal and gradient, and one spectrum back; it takes 20 operations per bin.
    """
    backward = 3 * _transform(stft.n_fft) + 4 * stft.n_fft + 20 * stft.n_freqs + 8 * stft.hop_length
    n_bytes = 4 * (4 * stft.n_freqs + 8 * stft.hop_length)
    return Work(n_bytes, fast_griffin_lim(stft).flops + backward)
