"""Bounds of the linear mels of waveforms in [−1, 1]."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses import FakeTensorMode

from tests.problems import TINY, TINY_LOG, TINY_POWER
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.transforms.compression import compress, decompress
from torchmelinv.transforms.mel_bounds import linear_bounds, relative_energy

CONVENTIONS = [
    TINY,
    TINY_LOG,
    TINY_POWER,
    TINY.replace(pre_emphasis=0.97),
    TINY.replace(magnitude_floor=1e-4),
    TINY.replace(remove_dc=True, pre_emphasis=0.5),
    TINY.replace(power=0.5, n_fft=127, win_length=100),
    TINY.replace(power=3, level=Compression(log="log10", offset=1e-3)),
    TINY_LOG.replace(level=Compression(log="ln", floor=1e-5, clip=(-2.0, 1.0))),
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


@pytest.mark.parametrize("mode", [torch.inference_mode(), FakeTensorMode(), torch.device("meta")])
def test_cached_bounds_belong_to_no_mode(mode):
    linear_bounds.cache_clear()
    with mode:
        bounds = linear_bounds(TINY)
    for bound in bounds:
        assert type(bound) is torch.Tensor
        assert bound.device.type == "cpu"
        assert not bound.is_inference()


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_silence_has_the_lowest_mel(convention):
    silence = MelSpectrogram(convention).linear_mel(torch.zeros(640, dtype=torch.float64))
    torch.testing.assert_close(silence, linear_bounds(convention)[0].expand_as(silence))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_no_frame_has_more_energy_than_the_highest(convention):
    linear = MelSpectrogram(convention).linear_mel(extreme_waveforms(1024))
    mel = decompress(compress(linear, convention.level), convention.level)
    energy = relative_energy(mel, convention)
    assert energy.shape == (len(linear), linear.shape[-1])
    assert (energy <= 1).all()
    assert (energy[-1] < 1e-12).all()  # silence


@pytest.mark.parametrize("power", [0.5, 1, 2, 3])
def test_the_energy_is_that_of_the_waveform(power):
    """A sine of amplitude a has a²/2 of the highest energy; the filters hide some of it."""
    convention = TINY.replace(power=power, filter_norm=None)
    sine = torch.sin(0.7 * torch.arange(1024, dtype=torch.float64))
    for amplitude in (1, 0.1, 10):
        mel = MelSpectrogram(convention).linear_mel(amplitude * sine)
        ratio = relative_energy(mel, convention)[4:-4] / (amplitude**2 / 2)
        assert (ratio <= 1 + 1e-9).all()
        assert (ratio > 0.4).all()
