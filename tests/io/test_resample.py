"""Resampling between sample rates."""

from __future__ import annotations

import pytest
import soxr
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


@pytest.mark.parametrize("channels", [1, 450])
@pytest.mark.parametrize("n_samples", [0, 1, 48])
def test_less_than_one_sample_is_refused_before_soxr(n_samples, channels, monkeypatch):
    monkeypatch.setattr("soxr.resample", lambda *args: pytest.fail("soxr was called"))
    with pytest.raises(InputError, match="less than one at 1 Hz"):
        resample(torch.zeros(channels, n_samples), 97, 1)


@pytest.mark.parametrize("n_samples", [1, 2, 100])
@pytest.mark.parametrize("channels", [1, 2, 450])
def test_soxr_gets_channel_by_channel(n_samples, channels, monkeypatch):
    """For interleaved channels it reads beyond the end of the result, which may crash."""
    strides, plain = [], soxr.resample

    def record(samples, *rates):
        strides.append(samples.strides)
        return plain(samples, *rates)

    monkeypatch.setattr("soxr.resample", record)
    interleaved = torch.rand(n_samples, channels)
    for waveform in (interleaved.T, interleaved.T.contiguous()):
        assert resample(waveform, 8000, 16000).shape == (channels, 2 * n_samples)
    assert strides == [(4, 4 * n_samples)] * 2


def test_half_a_sample_is_rounded_up():
    assert resample(torch.zeros(2, 49), 98, 1).shape == (2, 1)
    with pytest.raises(InputError, match="48 samples at 98 Hz"):
        resample(torch.zeros(2, 48), 98, 1)
