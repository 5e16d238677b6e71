"""A waveform loss through the inversion improves a denoiser's spectrum, at the cost of its mel."""

from __future__ import annotations

import pytest
import torch

from tests.problems import tones
from tests.training.denoiser import compare, log_spectral_distance


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_waveform_loss_gives_a_nearer_spectrum_than_the_mel_loss_alone(seed: int):
    result = compare(tones(1600, (96,)), held_out=32, seed=seed, steps=120)
    mel, waveform = result["mel"], result["waveform"]
    # 0.90 in all seeds tried; a lower level alone gives most of it
    assert waveform["lsd_40_db"] < 0.95 * mel["lsd_40_db"]
    assert waveform["lsd_40_db"] < result["mel_lowered"]["lsd_40_db"] < mel["lsd_40_db"]
    # The cost: no loss holds the mel.
    assert mel["log_mel_l1"] < waveform["log_mel_l1"] < 1.3 * mel["log_mel_l1"]
    assert mel["consistency_db"] < waveform["consistency_db"] < -15
    assert waveform["lsd_60_db"] < 1.1 * mel["lsd_60_db"]


def test_log_spectral_distance():
    signal = tones(1600, (2,), torch.float64)
    zero = torch.zeros(2, dtype=torch.float64)
    torch.testing.assert_close(log_spectral_distance(signal, signal, 40), zero)
    # 6.02 dB in every bin above the lowest level, 0 below it
    torch.testing.assert_close(log_spectral_distance(2 * signal, signal, 300), zero + 6.0206)
    assert (log_spectral_distance(0 * signal, signal, 40) <= 40).all()
