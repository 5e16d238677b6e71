"""How far the mel of a convention is from the mel of another library."""

from __future__ import annotations

import numpy as np
import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention

NO_FILTER = (
    "ignore:Empty filters detected",
    "ignore:At least one mel filterbank has all zero values",
)
WAVE = np.random.default_rng(0).standard_normal(6000).astype(np.float32)


def deviation(convention: MelConvention, mel: np.ndarray) -> float:
    """Return the largest difference from the convention's mel of WAVE, relative to the peak."""
    result = MelSpectrogram(convention)(torch.from_numpy(WAVE)).numpy()
    assert result.shape == mel.shape
    return float(np.abs(result - mel).max() / np.abs(mel).max())
