"""Mel spectrograms are torchaudio's, with finite gradients."""

from __future__ import annotations

import pytest
import torch
import torchaudio.transforms as reference

from tests.compat.torchaudio.deviation import SMALL, deviation
from tests.problems import tones
from torchmelinv.compat import torchaudio as compat
from torchmelinv.conventions.torchaudio import from_torchaudio

pytestmark = pytest.mark.filterwarnings(
    "ignore:At least one mel filterbank:UserWarning",  # torchaudio's, for empty filters
    "ignore:`torch.jit:DeprecationWarning",
)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"power": 1.0, "normalized": True, "mel_scale": "slaney"},
        {"power": 3.0, "normalized": "frame_length", "center": False, "pad": 10},
        {"pad_mode": "replicate", "n_fft": 401, "sample_rate": 11025, "norm": "slaney"},
        {
            "window_fn": torch.hamming_window,
            "wkwargs": {"periodic": False},
            "win_length": 301,
            "f_min": 40.0,
            "f_max": 7000.0,
        },
        {
            "mel_scale": "slaney",
            "norm": "slaney",
            "n_mels": 40,
            "hop_length": 100,
            "normalized": "window",
        },
    ],
    ids=str,
)
def test_mel_spectrogram_is_torchaudios(settings):
    module, original = compat.MelSpectrogram(**settings), reference.MelSpectrogram(**settings)
    waveform = tones(3000, (2, 1))
    assert torch.equal(module.mel_scale.fb, original.mel_scale.fb)
    assert deviation(module(waveform), original(waveform)) < 1e-6
    module, original, waveform = module.double(), original.double(), waveform.double()
    assert deviation(module(waveform), original(waveform)) < 1e-14


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_gradients_of_silence_are_finite(power):
    waveform = torch.cat([tones(1000), torch.zeros(1000)]).requires_grad_()
    module, original = compat.MelSpectrogram(power=power), reference.MelSpectrogram(power=power)
    mel = module(waveform)
    assert deviation(mel.detach(), original(waveform).detach()) < 1e-6
    mel.sum().backward()
    assert waveform.grad.isfinite().all()
    assert (waveform.grad[:500] != 0).any()
    scripted = torch.jit.script(module)
    assert torch.equal(scripted(waveform), mel)


def test_from_torchaudio_reads_the_convention():
    settings = {"sample_rate": 22050, "n_mels": 40, "f_max": 8000.0, **SMALL}
    assert from_torchaudio(compat.MelSpectrogram(**settings)) == from_torchaudio(
        reference.MelSpectrogram(**settings)
    )
