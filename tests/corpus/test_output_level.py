"""Levels as gains: the peak, the loudness with its limit, and none for silence."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.corpus.output_level import OutputLevel, default_level
from torchmelinv.transforms.loudness import loudness

TONE = torch.sin(torch.arange(16000.0))


def test_gains():
    assert OutputLevel("peak", -6).gain(0.5 * TONE, 16000) == pytest.approx(1.0024, abs=1e-3)
    gain = OutputLevel("loudness", -23).gain(TONE, 16000)
    assert loudness(gain * TONE, 16000) == pytest.approx(-23, abs=1e-3)
    gain = OutputLevel("loudness", 0).gain(torch.stack([TONE, 0.1 * TONE]), 16000)
    assert gain == pytest.approx(10 ** (-1 / 20), abs=1e-4)


@pytest.mark.parametrize("kind", ["peak", "loudness"])
def test_silence_and_nan_have_no_gain(kind):
    for waveform in (torch.zeros(100), torch.full((100,), torch.nan)):
        assert OutputLevel(kind, -20).gain(waveform, 16000) == 1


def test_only_conventions_that_subtract_the_peak_have_a_default():
    with_level = [name for name in preset_names() if default_level(preset(name))]
    assert with_level == ["librosa_power_to_db"]
    assert default_level(preset("diffusers_mel", model_space=True)) == ("loudness", -23)
