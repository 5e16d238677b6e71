"""Hostile values of mels in every preset: a finite waveform, or one of our errors."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

import torchmelinv as tmi
from torchmelinv.conventions import Compression
from torchmelinv.errors import TorchmelinvError
from torchmelinv.transforms.compression import compress

FRAMES = 9


def linear_mels(n_mels: int) -> dict[str, torch.Tensor]:
    """Return linear mels (n_mels, FRAMES) that few sounds have."""
    bands = torch.arange(n_mels)[:, None]
    frames = torch.arange(FRAMES)
    noise = torch.rand(n_mels, FRAMES, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(n_mels, FRAMES)
    return {
        "zeros": zero,
        "ones": zero + 1,
        "one value": ((bands == n_mels // 2) & (frames == 4)).float(),
        "one band": (bands == 0).float() + zero,
        "one frame": (frames == 0).float() + zero,
        "checkerboard": ((bands + frames) % 2).float(),
        "denormal": noise * 1e-40,
        "tiny": noise * 1e-30,
        "huge": noise * 1e12,
        "larger": noise * 1e30,
        "wide": torch.exp(40 * noise - 20),
        "infinite": torch.where(noise > 0.9, math.inf, noise),
        "NaN": torch.where(noise > 0.9, math.nan, noise),
    }


@pytest.mark.parametrize("preset", tmi.preset_names())
def test_any_values_in_any_preset(preset):
    convention = tmi.preset(preset)
    if convention.n_fft > 4096:
        convention = convention.replace(n_fft=4096, hop_length=1024, win_length=4096)
    inverter = tmi.MelInverter(convention, n_iter=2)
    for name, linear in linear_mels(convention.n_mels).items():
        mel = compress(linear, convention.level)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                waveform = inverter(mel)
            except TorchmelinvError:
                continue
        assert torch.isfinite(waveform).all(), name
        assert torch.isfinite(mel).all(), f"{name} was inverted"


@pytest.mark.parametrize("power", [0.1, 0.5, 1, 2, 3])
def test_any_values_with_any_power(power):
    convention = tmi.preset("hifigan_22k", power=power, level=Compression())
    inverter = tmi.MelInverter(convention, n_iter=2)
    for name, mel in linear_mels(80).items():
        try:
            assert torch.isfinite(inverter(mel)).all(), name
        except TorchmelinvError:
            continue
