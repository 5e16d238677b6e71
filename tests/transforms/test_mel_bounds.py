"""Bounds of the linear mels of waveforms in [−1, 1]."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.transforms.mel_bounds import linear_bounds

CONVENTIONS = [
    TINY,
    TINY_LOG,
    TINY_POWER,
    TINY.replace(pre_emphasis=0.97),
    TINY.replace(magnitude_floor=1e-4),
]


def extreme_waveforms(n_samples: int) -> torch.Tensor:
    """Full-scale tones, squares, noise and an impulse, and silence, (items, n_samples)."""
    time = torch.arange(n_samples, dtype=torch.float64)
    tones = torch.stack([torch.sin(time * frequency) for frequency in (0.01, 0.1, 0.5, 1.0, 3.0)])
    noise = 2 * torch.rand(1, n_samples, dtype=torch.float64) - 1
    impulse = torch.zeros_like(noise)
    impulse[0, n_samples // 2] = 1
    silence = torch.zeros_like(noise)
    return torch.cat([tones, tones.sign(), noise, noise.sign(), impulse, silence])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_waveform_leaves_the_bounds(convention):
    lowest, highest = linear_bounds(convention)
    mel = MelSpectrogram(convention).linear_mel(extreme_waveforms(1024))
    assert lowest.shape == highest.shape == (convention.n_mels, 1)
    assert (mel >= lowest * (1 - 1e-9)).all()
    assert (mel <= highest).all()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_silence_has_the_lowest_mel(convention):
    silence = MelSpectrogram(convention).linear_mel(torch.zeros(640, dtype=torch.float64))
    torch.testing.assert_close(silence, linear_bounds(convention)[0].expand_as(silence))
