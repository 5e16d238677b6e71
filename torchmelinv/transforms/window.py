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
    if isinstance(convention.window, tuple):
        window = torch.tensor(convention.window, dtype=torch.float64)
    else:
        periodic = convention.window == "hann"
        window = torch.hann_window(convention.win_length, periodic=periodic, dtype=torch.float64)
    if convention.window == "povey":
        window = window**0.85
    if convention.window_normalized:
        window = window / window.square().sum().sqrt()
    return pad_window(window, convention)


def pad_window(window: Tensor, convention: STFTConvention) -> Tensor:
    """Pad a window (win_length,) with zeros to (n_fft,), where the convention places it."""
    missing = convention.n_fft - convention.win_length
    left = 0 if convention.window_align == "left" else missing // 2
    return pad(window, (left, missing - left))


def hops_of_window(values: Tensor, hop_length: int) -> Tensor:
    """Return values of one frame (n_fft,) hop by hop, with zeros at the end, (hops, hop_length)."""
    return pad(values, (0, -len(values) % hop_length)).reshape(-1, hop_length)


def window_sumsquare(window: Tensor, hop_length: int) -> Tensor:
    """Return one period of Σ_t w²(n − t · hop) over all integers t, (hop_length,)."""
    return hops_of_window(window.square(), hop_length).sum(0)


def sumsquare_floor(window: Tensor, hop_length: int) -> Tensor:
    """Return the part of its peak below which Σw² does not count, one number."""
    sumsquare = window_sumsquare(window, hop_length)
    lowest = sumsquare.min() / sumsquare.max().clamp(min=1e-30)
    return lowest.clamp(SMALLEST_SUMSQUARE_FLOOR, SUMSQUARE_FLOOR)
