"""Small inputs that many tests share: short signals and tiny conventions."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.conventions import Compression, MelConvention, STFTConvention

PADDINGS = ("center_reflect", "center_zero", "same_reflect", "none")
TINY = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16)
TINY_LOG = TINY.replace(
    padding="same_reflect", magnitude_offset=1e-9, level=Compression(log="ln", floor=1e-5)
)
TINY_POWER = TINY.replace(power=2, padding="center_zero")
# A rank-deficient filterbank: 20 bands of 17 bins, filters with the same single bin, empty filters.
DEFICIENT = MelConvention(
    sample_rate=8000, n_fft=32, hop_length=8, n_mels=20, mel_scale="htk", filter_norm=None
)


def tones(
    n_samples: int = 1600, items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return two gliding tones and noise within [−1, 1], (*items, n_samples); items differ."""
    time = torch.arange(n_samples, dtype=torch.float64) / 8000
    count = int(torch.Size(items).numel())
    generator = torch.Generator().manual_seed(1)
    low = 200 + 300 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, n_samples, generator=generator, dtype=torch.float64)
    phase = 2 * torch.pi * low * (time + 2 * time**2)
    signal = 0.4 * phase.sin() + 0.2 * (4.1 * phase).sin() + 0.02 * noise
    return signal.reshape(*items, n_samples).to(dtype)


def stft_convention(**changes: object) -> STFTConvention:
    """Return a tiny STFT convention with these fields changed."""
    return STFTConvention.from_dict({"n_fft": 64, "hop_length": 16, **changes})


def apart(angles: Tensor, expected: Tensor) -> float:
    """Return the largest distance of angles on the circle; 0 for empty tensors."""
    difference = (angles.double() - expected.double()).remainder(2 * torch.pi)
    if difference.numel() == 0:
        return 0.0
    return float(torch.minimum(difference, 2 * torch.pi - difference).max())
