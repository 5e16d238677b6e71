"""Onsets of noise bursts: slopes and energy before them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.metrics import onset_slope_db, pre_echo_db

RATE = 8000
METRICS = (onset_slope_db, pre_echo_db)


def noise(n_samples: int = RATE) -> Tensor:
    return torch.randn(n_samples, dtype=torch.float64)


def bursts(rise: float, early: float = 0.0, floor: float = 0.01) -> Tensor:
    """Return the gain of two onsets that take `rise` seconds and come `early`, (RATE,)."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    gains = [((time - start + early) / rise).clamp(0, 1) for start in (0.3, 0.7)]
    return floor + gains[0] * (time < 0.5) + gains[1]


def test_softer_onsets_have_a_lower_slope():
    signal = noise()
    hard = signal * bursts(1e-4)
    slopes = [float(onset_slope_db(signal * bursts(rise), hard, RATE)) for rise in (0.01, 0.05)]
    # The step of 40 dB takes 10 ms or 50 ms instead of none.
    assert -25 < slopes[0] < -5
    assert -40 < slopes[1] < slopes[0] - 5
    assert float(onset_slope_db(hard, signal * bursts(0.01), RATE)) > 5


def test_a_shifted_onset_is_as_steep():
    signal = noise()
    shifted = onset_slope_db(signal * bursts(1e-4, early=0.005), signal * bursts(1e-4), RATE)
    assert float(shifted.abs()) < 3  # the energies of 32 samples of noise vary by 1 dB


def test_pre_echo_is_the_energy_of_the_16_ms_before():
    signal, hard = noise(), bursts(1e-4)
    time = torch.arange(RATE) / RATE
    before = ((time > 0.28) & (time < 0.296)) | ((time > 0.68) & (time < 0.696))
    echo = torch.where(before, 10 * hard, hard)
    result = pre_echo_db(signal * echo, signal * hard, RATE)
    assert float(result) == pytest.approx(20, abs=1)  # the echo's ends are differenced, too


def test_stationary_noise_and_the_beginning_have_no_onset():
    for metric in METRICS:
        assert metric(noise(), noise(), RATE) == 0


def test_equality_silence_and_nan():
    signal, silence = (noise() * bursts(1e-4)).float(), torch.zeros(RATE)
    for metric in METRICS:
        assert metric(signal, signal, RATE) == metric(silence, silence, RATE) == 0
        assert metric(signal, silence, RATE) == 0  # no onsets
        assert metric(silence, signal, RATE) < 0
        assert metric(signal[:5], signal[:5], RATE) == 0
        assert metric(signal * math.nan, signal, RATE).isnan()


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    reference, lengths = torch.stack([noise(), noise()]) * bursts(1e-4), [RATE, 4321]
    estimate = torch.stack([noise(), noise()]) * bursts(0.02)
    estimate[1, 4321:] = math.nan
    result = metric(estimate, reference, RATE, lengths=lengths)
    for item, length in enumerate(lengths):
        expected = metric(estimate[item, :length], reference[item, :length], RATE)
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_wrong_sample_rate_is_refused(metric):
    with pytest.raises(InputError, match="sample_rate is 8"):
        metric(noise(), noise(), 8)
