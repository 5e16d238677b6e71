"""A denoiser of mels is better for a waveform loss through the inversion, where it can be heard; and what that costs."""

from __future__ import annotations

import pytest
import torch

from tests.problems import tones
from tests.training.denoiser import compare, log_spectral_distance


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_waveform_loss_brings_the_spectrum_nearer_than_the_mel_loss_alone(seed: int):
    found = compare(tones(1600, (96,)), held=32, seed=seed, steps=120)
    mel, waveform = found["mel"], found["waveform"]
    # 0.90 in all seeds tried, most of which a lower level alone would give
    assert waveform["lsd_40_db"] < 0.95 * mel["lsd_40_db"]
    assert waveform["lsd_40_db"] < found["mel_lowered"]["lsd_40_db"] < mel["lsd_40_db"]
    # The price, so that nobody takes it for better in all things: the mel is left to itself.
    assert mel["log_mel_l1"] < waveform["log_mel_l1"] < 1.3 * mel["log_mel_l1"]
    assert mel["consistency_db"] < waveform["consistency_db"] < -15
    assert waveform["lsd_60_db"] < 1.1 * mel["lsd_60_db"]


def test_log_spectral_distance():
    signal = tones(1600, (2,), torch.float64)
    torch.testing.assert_close(log_spectral_distance(signal, signal, 40), torch.zeros(2, dtype=torch.float64))
    # 6.02 dB in every bin above the lowest level, nothing below it
    torch.testing.assert_close(log_spectral_distance(2 * signal, signal, 300), torch.full((2,), 6.0206, dtype=torch.float64))
    assert (log_spectral_distance(0 * signal, signal, 40) <= 40).all()
