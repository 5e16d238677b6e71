"""The synthetic voice: the same for all, of any length and rate, with voice, hiss and pauses."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.synthetic_voice import signal


def test_the_voice_is_always_the_same():
    state = torch.get_rng_state()
    voice = signal()
    assert torch.equal(voice, signal())
    assert torch.equal(torch.get_rng_state(), state)
    assert voice.shape == (66150,)
    assert voice.dtype == torch.float32
    assert float(voice.abs().max()) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("seconds", "sample_rate"),
    [(0.1, 8000), (3.0, 4000), (4.5, 16000), (1.0, 44100), (1e-6, 22050)],
)
def test_any_length_and_rate(seconds, sample_rate):
    voice = signal(seconds, sample_rate)
    assert voice.shape == (max(1, round(seconds * sample_rate)),)
    assert voice.isfinite().all()


def test_the_phrase_repeats():
    voice = signal(6, 8000)
    assert torch.equal(voice[:24000], voice[24000:])


def test_it_has_voice_hiss_and_pauses():
    mel = MelSpectrogram("hifigan_22k").linear_mel(signal())
    voice, hiss, pause = (int(second * 22050 / 256) for second in (0.5, 1.53, 1.4))
    low, high = mel[:30].sum(0), mel[60:].sum(0)
    assert low[voice] > 30 * high[voice]
    assert high[hiss] > 10 * low[hiss]
    assert mel[:, pause].sum() < 1e-2 * mel[:, voice].sum()


def test_the_pitch_glides():
    voice, pitches = signal(), []
    for second in (0.25, 0.7):
        part = voice[int(second * 22050) :][:2048]
        spectrum = torch.fft.rfft(part, 8192).abs().square()
        lags = torch.fft.irfft(spectrum)[22050 // 220 : 22050 // 80]
        pitches.append(22050 / (int(lags.argmax()) + 22050 // 220))
    assert 115 < pitches[0] < 135
    assert 145 < pitches[1] < 165


@pytest.mark.parametrize(
    ("seconds", "sample_rate"), [(0, 22050), (-1, 22050), (601, 22050), (1, 100), (1, 1e6)]
)
def test_impossible_voices(seconds, sample_rate):
    with pytest.raises(InputError, match="cannot synthesize"):
        signal(seconds, sample_rate)
