"""The fundamental frequency of tones and glides, errors of it, and padded batches."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.metrics import (
    f0_rmse_cents,
    fundamental_frequency,
    gross_pitch_error,
    voicing_error,
)
from torchmelinv.metrics.fundamental_frequency import find_f0

RATE = 16000


def voice(frequency: float, seconds: float = 0.5, glide: float = 0.0) -> torch.Tensor:
    """Return ten harmonics that fall by 6 dB an octave."""
    time = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    phase = 2 * torch.pi * (frequency * time + glide / 2 * time**2)
    return sum((k * phase).sin() / k for k in range(1, 11)).float()


@pytest.mark.parametrize("frequency", [65.0, 110.0, 220.3, 440.0, 590.0])
def test_the_frequency_of_a_tone(frequency):
    f0, voiced = find_f0(voice(frequency), torch.tensor(8000), RATE)
    assert voiced[2:-2].all()
    cents = 1200 * (f0 / frequency).log2()[3:-3]
    assert cents.abs().max() < 5  # a parabola through three lags


@pytest.mark.parametrize("most_frames", [fundamental_frequency._MOST_FRAMES, 7])
def test_a_glide_is_followed(monkeypatch, most_frames):
    monkeypatch.setattr(fundamental_frequency, "_MOST_FRAMES", most_frames)
    f0, _ = find_f0(voice(150, glide=200), torch.tensor(8000), RATE)
    expected = 150 + 200 * 0.01 * torch.arange(len(f0))
    assert (1200 * (f0 / expected).log2())[5:-5].abs().max() < 20


def test_noise_and_silence_are_unvoiced():
    noise = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    assert not find_f0(torch.zeros(8000), torch.tensor(8000), RATE)[1].any()
    assert find_f0(noise, torch.tensor(8000), RATE)[1].float().mean() < 0.05
    assert math.isnan(f0_rmse_cents(noise, torch.zeros(8000), RATE))
    assert math.isnan(gross_pitch_error(noise, torch.zeros(8000), RATE))


def test_a_semitone_is_a_hundred_cents():
    error = f0_rmse_cents(voice(200 * 2 ** (1 / 12)), voice(200), RATE)
    assert float(error) == pytest.approx(100, abs=3)


@pytest.mark.parametrize("ratio", [2, 0.5, 1.25])
def test_gross_errors_are_counted_and_not_averaged(ratio):
    semitone = 2 ** (1 / 12)
    reference = torch.cat([voice(200), voice(200)])
    estimate = torch.cat([voice(200 * semitone), voice(200 * ratio)])
    assert float(gross_pitch_error(estimate, reference, RATE)) == pytest.approx(0.5, abs=0.05)
    assert float(f0_rmse_cents(estimate, reference, RATE)) == pytest.approx(100, abs=10)
    assert math.isnan(f0_rmse_cents(voice(200 * ratio), voice(200), RATE))
    assert gross_pitch_error(voice(200 * ratio), voice(200), RATE) > 0.95
    assert gross_pitch_error(voice(200 * semitone), voice(200), RATE) == 0


def test_voicing_that_differs():
    half = voice(200)
    half[4000:] = 0
    assert float(voicing_error(half, voice(200), RATE)) == pytest.approx(0.5, abs=0.05)
    assert voicing_error(half, half, RATE) == 0


def test_items_of_a_padded_batch_are_independent():
    batch = torch.stack([voice(200), voice(300)])
    noisy = batch + 0.3 * torch.randn(batch.shape, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([8000, 5000])
    for metric in (f0_rmse_cents, gross_pitch_error, voicing_error):
        values = metric(noisy, batch, RATE, lengths=lengths)
        for item, n in enumerate(lengths):
            alone = metric(noisy[item, :n], batch[item, :n], RATE)
            torch.testing.assert_close(values[item], alone, atol=1e-3, rtol=1e-3)


def test_low_rates_are_refused():
    with pytest.raises(InputError, match="sample_rate"):
        f0_rmse_cents(torch.ones(100), torch.ones(100), 500)
