"""Correlation and mono level of stereo channels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.metrics import channel_correlation, downmix_level_db

METRICS = (channel_correlation, downmix_level_db)


def stereo(items: tuple[int, ...] = (), common: float = 1.0) -> torch.Tensor:
    shared = torch.randn(*items, 1, 1600, dtype=torch.float64)
    return common * shared + torch.randn(*items, 2, 1600, dtype=torch.float64)


def test_the_correlation_is_numpys():
    estimate, reference = 3 + stereo(), stereo(common=4)
    expected = np.corrcoef(estimate)[0, 1] - np.corrcoef(reference)[0, 1]
    assert float(channel_correlation(estimate, reference)) == pytest.approx(expected, abs=1e-12)


def test_opposite_channels_have_no_mono_level():
    mono = torch.randn(1600).expand(2, -1)
    opposite = mono * torch.tensor([[1.0], [-1.0]])
    assert float(channel_correlation(opposite, mono)) == pytest.approx(-2)
    assert downmix_level_db(opposite, mono) == -300
    # Channels without anything in common lose half of their energy.
    separate = torch.randn(2, 16000)
    level = downmix_level_db(separate, separate[:1].expand(2, -1))
    assert float(level) == pytest.approx(-10 * math.log10(2), abs=0.3)


def test_equality_silence_and_nan():
    signal, silence = stereo().float(), torch.zeros(2, 1600)
    for metric in METRICS:
        assert metric(signal, signal) == metric(silence, silence) == 0
        assert metric(signal, silence).isfinite()
        assert metric(silence, signal).isfinite()
        assert metric(signal * math.nan, signal).isnan()


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    estimate, reference, lengths = stereo((2,)), stereo((2,)), [1600, 500]
    estimate[1, :, 500:] = math.nan
    result = metric(estimate, reference, lengths=lengths)
    for item, length in enumerate(lengths):
        expected = metric(estimate[item, :, :length], reference[item, :, :length])
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("metric", METRICS)
def test_other_numbers_of_channels_are_refused(metric):
    with pytest.raises(InputError, match="must be stereo"):
        metric(torch.ones(3, 9), torch.ones(3, 9))
