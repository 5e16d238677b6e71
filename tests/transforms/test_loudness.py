"""The loudness is that of the standard and of pyloudnorm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from torchmelinv.transforms.loudness import loudness


def noise(sample_rate, channels=1):
    """Return three seconds of noise of three levels."""
    generator = np.random.default_rng(0)
    gains = np.repeat([0.001, 0.2, 0.05], sample_rate)
    return gains * generator.standard_normal((channels, 3 * sample_rate))


@pytest.mark.parametrize("sample_rate", [16000, 22050, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_noise_as_by_pyloudnorm(sample_rate, channels):
    pyloudnorm = pytest.importorskip("pyloudnorm")
    waveform = noise(sample_rate, channels)
    meter = pyloudnorm.Meter(sample_rate, filter_class="DeMan")
    expected = meter.integrated_loudness(waveform.T)
    assert loudness(torch.from_numpy(waveform), sample_rate) == pytest.approx(expected, abs=1e-3)


def test_a_tone_as_by_the_standard():
    """A tone of 997 Hz at full scale in one channel has −3.01 LUFS."""
    time = torch.arange(3 * 48000) / 48000
    assert loudness(torch.sin(2 * torch.pi * 997 * time), 48000) == pytest.approx(-3.01, abs=0.01)


def test_silence_and_short_waveforms():
    assert loudness(torch.zeros(8000), 8000) == -math.inf
    assert loudness(torch.full((8000,), 1e-9), 8000) == -math.inf
    tone = torch.sin(torch.arange(8000.0))
    assert loudness(tone[:800], 8000) == pytest.approx(loudness(tone, 8000), abs=0.5)
    assert math.isfinite(loudness(tone[1:2], 8000))
