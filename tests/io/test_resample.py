"""Resampling between sample rates."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.io.resample import resample


def test_the_same_rate_changes_nothing():
    waveform = torch.rand(2, 800)
    assert resample(waveform, 8000, 8000) is waveform


def test_a_tone_keeps_its_frequency():
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(8000) / 8000)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    result = resample(torch.stack([tone, -tone]), 8000, 22050)
    assert result.shape == (2, 22050)
    assert (result - torch.stack([expected, -expected]))[:, 500:-500].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("n_samples", "rates", "message"),
    [(800, (1, 22050), "more than a factor of 256"), (1, (22050, 8000), "less than one at 8000")],
)
def test_errors(n_samples, rates, message):
    with pytest.raises(InputError, match=message):
        resample(torch.zeros(1, n_samples), *rates)
