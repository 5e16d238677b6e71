"""Mels and waveforms to score, and the metrics as they are with and without torchmetrics."""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.transforms.compression import decompress

MELS = torch.stack([tiny_mel(0.2, seed) for seed in range(4)])
WAVEFORMS = torch.stack([tone(0.2, seed) for seed in range(4)])
NOISY = WAVEFORMS + 0.02 * torch.randn(WAVEFORMS.shape, generator=torch.Generator().manual_seed(9))


def linear(mel: torch.Tensor) -> torch.Tensor:
    """Return the linear mel."""
    return decompress(mel, TINY.level)


def reloaded() -> ModuleType:
    """Return `torchmelinv.validation` imported anew, on the base class that is there now."""
    parts = ("._item_mean", ".mels", ".waveforms", "")
    modules = [importlib.import_module(f"torchmelinv.validation{part}") for part in parts]
    return [importlib.reload(module) for module in modules][-1]
