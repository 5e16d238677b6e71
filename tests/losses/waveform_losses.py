"""Losses of two waveforms in many settings, on a convention small enough for finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.problems import tones
from torchmelinv import MelConvention
from torchmelinv.losses import (
    ComplexLoss,
    MelLoss,
    MultiResolutionSTFTLoss,
    SpectralConvergenceLoss,
)

SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4)
SMALL_LOG = SMALL.replace(level={"log": "log10", "floor": 1e-3, "multiplier": 20})
SMALL_RELATIVE = SMALL.replace(
    power=2, level={"log": "log10", "floor": 1e-10, "dynamic_range": 3.0, "affine": (-4, 4)}
)

WAVEFORM_LOSSES = {
    "convergence": SpectralConvergenceLoss(SMALL),
    "multi": MultiResolutionSTFTLoss([(16, 4, 16), (32, 5, 20)]),
    "mel": MelLoss(SMALL_LOG),
    "mel, relative": MelLoss(SMALL_RELATIVE),
    "mel, no logarithm": MelLoss(SMALL),
    "mel, p 2": MelLoss(SMALL_LOG, p=2),
    "mel, linear": MelLoss(SMALL_LOG, log=False),
    "mel, linear power, p 2": MelLoss(SMALL.replace(power=2), log=False, p=2),
    "complex": ComplexLoss(SMALL),
    "complex, p 2": ComplexLoss(SMALL, p=2),
}
each_loss = pytest.mark.parametrize("loss", WAVEFORM_LOSSES.values(), ids=WAVEFORM_LOSSES)


def pair(
    n_samples: int = 400, items: tuple[int, ...] = (), dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Return two different signals, (*items, n_samples)."""
    both = tones(n_samples, (2, *items), dtype)
    return both[0], 0.7 * both[1] + 0.2 * both[0]


def spectrum_of(waveform: Tensor, n_fft: int, hop_length: int, win_length: int) -> Tensor:
    """Return torch's STFT with a Hann window."""
    window = torch.hann_window(win_length, dtype=waveform.dtype)
    return torch.stft(waveform, n_fft, hop_length, win_length, window, return_complex=True)


def fill_padding(tensor: Tensor, lengths: Tensor) -> Tensor:
    """Write NaN behind the end of each item, in place."""
    for item, length in zip(tensor, lengths, strict=True):
        item[..., length:] = math.nan
    return tensor
