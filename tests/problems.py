"""Small worlds that many tests share: short signals, tiny conventions, mels that some spectrum has."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention, Level, MelConvention

PADDINGS = ("center_reflect", "center_zero", "same_reflect", "none")
TINY = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16)
TINY_LOG = TINY.replace(padding="same_reflect", magnitude_offset=1e-9, level=Level(log="ln", floor=1e-5))
TINY_POWER = TINY.replace(power=2, padding="center_zero")
# One band more than its 17 bins can tell apart, filters that share their only bins, and empty ones.
DEFICIENT = MelConvention(sample_rate=8000, n_fft=32, hop_length=8, n_mels=20, mel_scale="htk", filter_norm=None)


def tones(n_samples: int = 1600, items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32) -> Tensor:
    """Two gliding tones and some noise, different for each item, (*items, n_samples), within [−1, 1]."""
    time = torch.arange(n_samples, dtype=torch.float64) / 8000
    count = int(torch.Size(items).numel())
    generator = torch.Generator().manual_seed(1)
    low = 200 + 300 * torch.rand(count, 1, generator=generator, dtype=torch.float64)
    noise = torch.randn(count, n_samples, generator=generator, dtype=torch.float64)
    phase = 2 * torch.pi * low * (time + 2 * time**2)
    signal = 0.4 * phase.sin() + 0.2 * (4.1 * phase).sin() + 0.02 * noise
    return signal.reshape(*items, n_samples).to(dtype)


def frame_convention(**changes: object) -> FrameConvention:
    """A tiny frame convention with these fields changed."""
    return FrameConvention.from_dict({"n_fft": 64, "hop_length": 16, **changes})


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest distance between two angles, on the circle; 0 where there are none."""
    turned = (found.double() - expected.double()).remainder(2 * torch.pi)
    return float(torch.minimum(turned, 2 * torch.pi - turned).max()) if turned.numel() else 0.0
