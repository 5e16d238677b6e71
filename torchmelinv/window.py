"""What a frame is multiplied by: the window of a frame convention, as long as its transform."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention


def window_table(convention: FrameConvention) -> Tensor:
    """The window in float64 as long as a frame, (n_fft,), divided by √Σw² where the convention says so."""
    length = convention.win_length
    periodic = convention.window == "hann"
    if isinstance(convention.window, tuple):
        window = torch.tensor(convention.window, dtype=torch.float64)
    else:
        window = torch.hann_window(length, periodic=periodic, dtype=torch.float64)
    if convention.window == "povey":
        window = window**0.85
    if convention.window_normalized:
        window = window / window.square().sum().sqrt()
    right = convention.n_fft - length
    left = 0 if convention.window_align == "left" else right // 2
    return pad(window, (left, right - left))


def hop_envelope(convention: FrameConvention) -> Tensor:
    """Σ_s w²(n − s hop) where all frames are there: it repeats every hop, (hop_length,) in float64."""
    hop_length = convention.hop_length
    return pad(window_table(convention).square(), (0, -convention.n_fft % hop_length)).reshape(-1, hop_length).sum(0)
