"""An offset of the waveform: its DC bin, frames that a voice covers, and signals without offset."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.demo import signal
from torchmelinv.invert import MelInverter
from torchmelinv.transforms.dc_offset import _offset_of, restore_dc

NAMES = ["hifigan_22k", "vocos_24k", "whisper_80", "whisper_128", "librosa_melspectrogram"]


def restored(name, waveform, dtype=torch.float64):
    """Return the true magnitude, and the magnitude of zeros after `restore_dc`."""
    convention, analysis = preset(name), MelSpectrogram(name)
    magnitude = analysis.magnitude(waveform.to(dtype))
    empty = torch.zeros_like(magnitude)
    return magnitude, restore_dc(empty, analysis.linear_mel(waveform.to(dtype)), convention)


@pytest.mark.parametrize("name", NAMES)
def test_an_offset_has_its_magnitude(name):
    """Alone and below soft noise, away from the ends, which zero padding changes."""
    noise = torch.randn(16384, generator=torch.Generator().manual_seed(0))
    for waveform in (torch.full((16384,), 0.1), 0.1 + 1e-4 * noise):
        magnitude, result = restored(name, waveform)
        inner = slice(4, -4)
        expected, result = magnitude[..., 0, inner], result[..., 0, inner]
        torch.testing.assert_close(result, expected, rtol=0.03, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_noise_voices_and_low_tones_have_none(name):
    convention = preset(name)
    noise = torch.randn(16384, generator=torch.Generator().manual_seed(0))
    time = torch.arange(16384) / convention.sample_rate
    tone = torch.sin(2 * torch.pi * 2 * convention.sample_rate / convention.n_fft * time)  # bin 2
    for waveform in (noise, tone, signal(1.0, convention.sample_rate)):
        assert restored(name, waveform)[1].eq(0).all()


def test_a_voice_that_covers_the_offset_keeps_it():
    """Frames that do not look like an offset alone get the mean of those that do."""
    time = torch.arange(32768) / 22050
    voice = 0.1 * torch.sin(2 * torch.pi * 80 * time) * ((time > 0.5) & (time < 0.9))
    magnitude, result = restored("hifigan_22k", voice + 0.2)
    covered = (magnitude[..., 4, :] > 5).nonzero().flatten()[5:-5]
    expected = magnitude[..., 0, :].median()
    assert len(covered) > 10
    torch.testing.assert_close(result[0, covered], expected.expand(len(covered)), rtol=0.2, atol=0)


def test_filters_that_cover_dc_or_begin_above_it_change_nothing():
    like = torch.float32, torch.device("cpu")
    changed = [name for name in preset_names() if _offset_of(preset(name), *like) is not None]
    assert "hifigan_22k" in changed
    assert "pwg_ljspeech" not in changed  # f_min is 80 Hz
    mel = MelSpectrogram("pwg_ljspeech").linear_mel(torch.ones(4096))
    magnitude = torch.rand(513, mel.shape[-1])
    assert restore_dc(magnitude, mel, preset("pwg_ljspeech")) is magnitude


def test_gradients_are_finite():
    convention = preset("hifigan_22k")
    mel = torch.rand(80, 6)
    mel[1:, :4], mel[:, 2] = 1e-5, 0
    mel.requires_grad_()
    magnitude = torch.rand(513, 6, requires_grad=True)
    result = restore_dc(magnitude, mel, convention)
    for gradient in torch.autograd.grad(result.square().sum(), (magnitude, mel)):
        assert gradient.isfinite().all()


def test_the_mel_is_met_still():
    """The first band has nothing but the offset, and the others keep their bins."""
    analysis = MelSpectrogram("hifigan_22k")
    mel = analysis.linear_mel(torch.full((8192,), 0.2) + 1e-3 * signal(8192 / 22050, 22050))
    log_mel = analysis(torch.full((8192,), 0.2) + 1e-3 * signal(8192 / 22050, 22050))
    magnitude = MelInverter("hifigan_22k").to_magnitude(log_mel)
    error = (analysis.filterbank(magnitude) - mel)[:, 4:-4].norm() / mel[:, 4:-4].norm()
    assert error < 0.02
