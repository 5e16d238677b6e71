"""Tonal lines in noise: whistles count, harmonics of the reference and steps do not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.metrics import tonal_line_db

RATE = 16000
# The largest excess of independent noises over all bins and times; twice the usual 4 dB.
MOST_OF_NOISE = 8


def noise(seed: int, n_samples: int = RATE) -> Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))


def tone(hertz: float, seconds: float = 1.0) -> Tensor:
    time = torch.arange(RATE) / RATE
    return torch.where(time < seconds, torch.sin(2 * torch.pi * hertz * time), 0)


def test_a_whistle_counts_wherever_it_is_and_however_loud_both_are():
    assert tonal_line_db(noise(0), noise(1), RATE) < MOST_OF_NOISE
    for hertz in (300, 3000, 7950):
        result = tonal_line_db(noise(0) + tone(hertz), noise(1), RATE)
        assert result > 12
        scaled = tonal_line_db(1e-3 * (noise(0) + tone(hertz)), noise(1), RATE)
        torch.testing.assert_close(scaled, result, rtol=1e-3, atol=1e-3)


def test_a_tone_must_last():
    assert tonal_line_db(noise(0) + tone(3000, 0.3), noise(1), RATE) > 12
    assert tonal_line_db(noise(0) + tone(3000, 0.05), noise(1), RATE) < MOST_OF_NOISE


def test_tones_of_the_reference_do_not_count():
    assert tonal_line_db(noise(0) + tone(3000), noise(1) + tone(3000), RATE) < MOST_OF_NOISE
    assert tonal_line_db(noise(0) + tone(3000), noise(1) + tone(2000), RATE) > 12


def test_a_step_of_the_spectrum_is_no_line():
    spectrum = torch.fft.rfft(noise(0))
    spectrum[len(spectrum) // 2 :] *= 1e-3
    lowpass = torch.fft.irfft(spectrum, RATE)
    assert tonal_line_db(lowpass, noise(1), RATE) < MOST_OF_NOISE


def test_equality_silence_short_signals_and_nan():
    signal, silence = noise(0) + tone(3000), torch.zeros(RATE)
    assert tonal_line_db(signal, signal, RATE) == tonal_line_db(silence, signal, RATE) == 0
    assert tonal_line_db(silence, silence, RATE) == 0
    assert tonal_line_db(signal, silence, RATE) > 20
    assert tonal_line_db(signal[:10], signal[:10], RATE) == 0
    assert tonal_line_db(torch.full((RATE,), math.nan), signal, RATE).isnan()


def test_items_of_a_padded_batch_are_independent():
    estimate = torch.stack([noise(0), noise(1) + tone(3000)])
    reference, lengths = torch.stack([noise(2), noise(3)]), [RATE, 9000]
    reference[1, 9000:] = math.nan
    result = tonal_line_db(estimate, reference, RATE, lengths=lengths)
    for item, length in enumerate(lengths):
        expected = tonal_line_db(estimate[item, :length], reference[item, :length], RATE)
        torch.testing.assert_close(result[item], expected, rtol=1e-4, atol=1e-4)


def test_a_wrong_sample_rate_is_refused():
    with pytest.raises(InputError, match="sample_rate is 16"):
        tonal_line_db(noise(0), noise(1), 16)
