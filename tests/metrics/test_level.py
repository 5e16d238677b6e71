"""Levels and crest factors of known signals, in silence and in padded batches."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import tones
from torchmelinv.errors import InputError
from torchmelinv.metrics import crest_factor_db, level_db

METRICS = (level_db, crest_factor_db)


def test_the_level_is_that_of_the_root_mean_square():
    estimate, reference = torch.randn(2, 1600, dtype=torch.float64)
    expected = 20 * (estimate.norm() / reference.norm()).log10()
    torch.testing.assert_close(level_db(estimate, reference), expected)
    torch.testing.assert_close(level_db(1e-30 * estimate, 1e-30 * reference), expected)


def test_the_crest_factor_of_a_sine_is_3_db_and_of_sparse_pulses_20_db():
    sine = torch.sin(2 * torch.pi * torch.arange(1600, dtype=torch.float64) / 16)
    pulses = torch.zeros(1600, dtype=torch.float64)
    pulses[::100] = 5
    expected = 20 - 10 * math.log10(2)
    assert float(crest_factor_db(pulses, sine)) == pytest.approx(expected, abs=1e-9)
    assert float(crest_factor_db(1e-3 * sine, sine)) == pytest.approx(0, abs=1e-9)


def test_silence_and_nan():
    signal, silence = tones(), torch.zeros(1600)
    assert level_db(silence, silence) == crest_factor_db(silence, silence) == 0
    assert level_db(silence, signal) == -level_db(signal, silence) == -300
    assert crest_factor_db(signal, silence).isfinite()
    for metric in METRICS:
        assert metric(torch.full((1600,), math.nan), signal).isnan()


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    estimate, reference = torch.randn(3, 1600), tones(items=(3,))
    lengths = [1600, 817, 544]
    for item, length in enumerate(lengths):
        estimate[item, length:] = math.nan
    result = metric(estimate, reference, lengths=torch.tensor(lengths))
    for item, length in enumerate(lengths):
        expected = metric(estimate[item, :length], reference[item, :length])
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_wrong_shapes_are_refused(metric):
    with pytest.raises(InputError, match=r"n_samples\), and not empty"):
        metric(torch.ones(5), torch.ones(6))
