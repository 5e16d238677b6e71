"""A recording to its mel and back: the distances are those of the parts."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import TINY, stereo, tone
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.roundtrip import measure_roundtrip
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics.distance import mel_error_db, spectral_convergence_db


def test_distances_are_those_of_the_parts():
    roundtrip = measure_roundtrip(tone(), MelInverter(TINY, n_iter=4))
    mel_spectrogram = MelSpectrogram(TINY)
    result = MelInverter(TINY, n_iter=4)(mel_spectrogram(tone()), length=len(tone()))
    assert torch.allclose(roundtrip.result, result, atol=1e-6)
    mels = mel_spectrogram.linear_mel(result), mel_spectrogram.linear_mel(tone())
    assert roundtrip.mel_error_db == pytest.approx(float(mel_error_db(*mels)), abs=1e-3)
    magnitudes = [mel_spectrogram.stft.forward(waveform).abs() for waveform in (result, tone())]
    convergence_db = float(spectral_convergence_db(*magnitudes))
    assert roundtrip.spectral_convergence_db == pytest.approx(convergence_db, abs=1e-3)
    assert roundtrip.duration == pytest.approx(0.2)
    assert roundtrip.real_time_factor == roundtrip.seconds / roundtrip.duration
    assert roundtrip.original_mel.shape == roundtrip.result_mel.shape == (8, 101)


def test_channels_share_the_initial_phase_and_the_distance():
    roundtrip = measure_roundtrip(stereo(), MelInverter(TINY, n_iter=4))
    mel_spectrogram, inverter = MelSpectrogram(TINY), MelInverter(TINY, n_iter=4, channels=True)
    result = inverter(mel_spectrogram(stereo()), length=1600)
    assert torch.allclose(roundtrip.result, result, atol=1e-6)
    mels = [mel_spectrogram.linear_mel(each).flatten(0, 1) for each in (result, stereo())]
    assert roundtrip.mel_error_db == pytest.approx(float(mel_error_db(*mels)), abs=1e-3)
    assert roundtrip.duration == pytest.approx(0.2)


def test_one_silent_channel_keeps_the_distance_finite():
    waveform = torch.stack([tone(), torch.zeros(1600)])
    with_silence = measure_roundtrip(waveform, MelInverter(TINY, n_iter=4))
    alone = measure_roundtrip(tone(), MelInverter(TINY, n_iter=4))
    # The silent channel adds what the inverter makes of the floor, 100 dB below a full band.
    assert with_silence.mel_error_db == pytest.approx(alone.mel_error_db, abs=0.1)
    assert with_silence.spectral_convergence_db == pytest.approx(
        alone.spectral_convergence_db, abs=0.1
    )


@pytest.mark.parametrize("n_samples", [33, 64, 100, 1601])
@pytest.mark.parametrize("padding", ["center_reflect", "center_zero", "same_reflect", "none"])
def test_the_result_is_as_long_as_the_original(n_samples, padding):
    waveform = torch.cat([tone(), tone()])[:n_samples]
    inverter = MelInverter(TINY.replace(padding=padding), n_iter=1)
    if padding == "none" and n_samples < 64:
        with pytest.raises(InputError, match="no frame"):
            measure_roundtrip(waveform, inverter)
        return
    roundtrip = measure_roundtrip(waveform, inverter)
    assert roundtrip.result.shape == (n_samples,)
    assert roundtrip.result.isfinite().all()


def test_silence_comes_back_as_silence():
    silence = torch.zeros(800)
    roundtrip = measure_roundtrip(silence, MelInverter(TINY.replace(level={}), n_iter=2))
    assert not roundtrip.result.any()
