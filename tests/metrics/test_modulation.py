"""Modulation at the hop, fluctuation from hop to hop, and periodicity of known signals."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.metrics import hop_fluctuation_db, hop_modulation_db, periodicity

HOP = 64
METRICS = (hop_modulation_db, hop_fluctuation_db, periodicity)


def noise(seed: int = 0, n_samples: int = 200 * HOP) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_samples, generator=generator, dtype=torch.float64)


def test_a_gain_within_the_hop_is_a_modulation_of_its_square():
    gain = torch.ones(HOP, dtype=torch.float64)
    gain[: HOP // 2] = 2
    flat = torch.ones_like(noise())
    result = hop_modulation_db(flat * gain.repeat(200), flat, HOP)
    assert float(result) == pytest.approx(20 * math.log10(2), abs=1e-9)
    # Sections of 800 samples of noise have a standard deviation of 0.2 dB.
    assert float(hop_modulation_db(noise(0), noise(1), HOP).abs()) < 1
    assert float(hop_modulation_db(flat * gain.repeat(200), flat, HOP + 5).abs()) < 1


def test_a_swell_or_a_loud_passage_is_no_modulation():
    swell = torch.linspace(0.1, 10, len(noise()), dtype=torch.float64)
    for metric in (hop_modulation_db, hop_fluctuation_db):
        # The level changes by 40 dB in 200 hops, so by 0.2 dB within one.
        assert float(metric(noise() * swell, noise(), HOP).abs()) < 0.3


def test_the_fluctuation_is_the_standard_deviation_of_the_levels():
    flat, levels = torch.ones_like(noise()), noise(1, 200)
    waveform = flat * (10 ** (levels / 20)).repeat_interleave(HOP)
    # 200 levels: their second differences have a standard error of about 7 %.
    result = hop_fluctuation_db(waveform, flat, HOP)
    assert float(result) == pytest.approx(float(levels.std()), rel=0.2)


def test_periodicity_is_the_correlation_one_period_later():
    repeated = noise(0, 1000).repeat(12)
    assert float(periodicity(repeated, noise(1, 12000), 1000)) == pytest.approx(1, abs=0.05)
    # The period has 1000 independent samples: a standard deviation of about 0.04.
    assert float(periodicity(repeated, noise(1, 12000), 990)) == pytest.approx(0, abs=0.15)
    mixed = repeated + noise(2, 12000)
    assert float(periodicity(mixed, noise(1, 12000), 1000)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_equality_silence_and_nan(metric):
    signal = noise().float()
    silence = torch.zeros_like(signal)
    assert metric(signal, signal, HOP) == metric(silence, silence, HOP) == 0
    assert metric(signal, silence, HOP).isfinite()
    assert metric(silence, signal, HOP).isfinite()
    assert metric(signal[:9], signal[-9:], HOP) == 0  # shorter than a hop
    assert metric(signal * math.nan, signal, HOP).isnan()


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    estimate = torch.stack([noise(0), noise(1)])
    reference, lengths = torch.stack([noise(2), noise(3)]), [len(noise()), 1000]
    estimate[1, 1000:] = math.nan
    result = metric(estimate, reference, HOP, lengths=lengths)
    for item, length in enumerate(lengths):
        expected = metric(estimate[item, :length], reference[item, :length], HOP)
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_period_of_no_samples_is_refused(metric):
    with pytest.raises(InputError, match="is 0; it must be an integer ≥ 1"):
        metric(noise(), noise(), 0)
