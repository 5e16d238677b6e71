"""Pitch pulses and harmonics of pulse trains in noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.metrics import harmonics_to_noise_db, pulse_depth
from torchmelinv.metrics.pitch import find_pitch

RATE = 16000
METRICS = (pulse_depth, harmonics_to_noise_db)


def pulses(period: int = 100, n_samples: int = RATE // 2) -> Tensor:
    signal = torch.zeros(n_samples, dtype=torch.float64)
    signal[::period] = math.sqrt(period)
    return signal


def noise(gain: float, n_samples: int = RATE // 2) -> Tensor:
    return gain * torch.randn(n_samples, dtype=torch.float64)


@pytest.mark.parametrize("period", [45, 100, 250])
def test_the_pitch_is_the_period_of_the_pulses(period):
    pitch = find_pitch(pulses(period) + noise(0.3), RATE)
    assert pitch.voiced.all()
    assert ((pitch.lags - period).abs() <= 1).all()
    assert not find_pitch(noise(1.0), RATE).voiced.any()


def test_harmonics_without_pulses_have_no_depth():
    """Random phases of the harmonics keep the period and spread each pulse over it."""
    spectrum = torch.fft.rfft(pulses())
    spread = torch.fft.irfft(torch.polar(spectrum.abs(), 6.28 * torch.rand(len(spectrum)).double()))
    assert (pulse_depth(spread, pulses(), RATE) < -0.25).all()
    # The first and the last frame see the end of the signal.
    assert (harmonics_to_noise_db(spread, pulses(), RATE).abs() < 2).all()


def test_noise_lowers_both_more_the_louder_it_is():
    for metric in METRICS:
        little, much = (metric(pulses() + noise(gain), pulses(), RATE) for gain in (0.3, 1.0))
        assert (much < little).all()
        assert (little < 0).all()


def test_the_ratio_is_that_of_the_powers():
    """Pulses and noise of equal power have the correlation ½, so 0 dB; half the noise 6 dB."""
    reference = pulses() + noise(1.0)
    result = harmonics_to_noise_db(pulses() + noise(0.5), reference, RATE)
    assert result.tolist() == pytest.approx([6, 6], abs=1)


def test_equality_silence_and_nan():
    signal = (pulses() + noise(0.3)).float()
    silence = torch.zeros_like(signal)
    for metric in METRICS:
        assert not metric(signal, signal, RATE).any()
        assert not metric(silence, silence, RATE).any()
        assert not metric(signal, silence, RATE).any()  # not voiced
        assert (metric(silence, signal, RATE) < 0).all()
        assert not metric(signal[:5], signal[:5], RATE).any()
        assert metric(signal * math.nan, signal, RATE).isnan().all()


def test_bands_above_half_of_the_sample_rate_are_zero():
    for metric in METRICS:
        result = metric(noise(1.0), pulses(), 8000)
        assert result[0] < 0
        assert result[1] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    reference = torch.stack([pulses(), pulses(80)]) + noise(0.3)
    estimate, lengths = reference + noise(0.5), [RATE // 2, 4321]
    estimate[1, 4321:] = math.nan
    result = metric(estimate, reference, RATE, lengths=lengths)
    for item, length in enumerate(lengths):
        expected = metric(estimate[item, :length], reference[item, :length], RATE)
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_wrong_sample_rate_is_refused(metric):
    with pytest.raises(InputError, match="sample_rate is 8"):
        metric(pulses(), pulses(), 8)
