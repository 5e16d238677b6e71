"""The window of an STFT convention, as long as its transform."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.conventions import STFTConvention

# Samples where Σw² is below this part of its peak are tapered: few windows reach them, and dividing
# by Σw² would amplify whatever is inconsistent there to a click at the end. (White noise through
# whisper_80, whose last frame is dropped, ended with samples of 8 times its rms at 0.01.) Where
# windows hardly overlap Σw² is small everywhere, and only the second bound holds.
SUMSQUARE_FLOOR, SMALLEST_SUMSQUARE_FLOOR = 0.1, 0.01


@outside_inference_mode
def window_table(convention: STFTConvention) -> Tensor:
    """Return the window in float64, (n_fft,); normalized to Σw² = 1 if the convention says so."""
    length = convention.win_length
    if isinstance(convention.window, tuple):
        window = torch.tensor(convention.window, dtype=torch.float64)
    else:
        periodic = convention.window == "hann"
        window = torch.hann_window(length, periodic=periodic, dtype=torch.float64)
    if convention.window == "povey":
        window = window**0.85
    if convention.window_normalized:
        window = window / window.square().sum().sqrt()
    right = convention.n_fft - length
    left = 0 if convention.window_align == "left" else right // 2
    return pad(window, (left, right - left))


def window_sumsquare(convention: STFTConvention) -> Tensor:
    """Return one period of Σ_t w²(n − t · hop) over all integers t, (hop_length,) in float64."""
    hop_length = convention.hop_length
    squared = pad(window_table(convention).square(), (0, -convention.n_fft % hop_length))
    return squared.reshape(-1, hop_length).sum(0)


def sumsquare_floor(convention: STFTConvention) -> float:
    """Return the part of its peak below which Σw² does not count."""
    sumsquare = window_sumsquare(convention)
    lowest = float(sumsquare.min() / sumsquare.max().clamp(min=1e-30))
    return max(SMALLEST_SUMSQUARE_FLOOR, min(SUMSQUARE_FLOOR, lowest))
