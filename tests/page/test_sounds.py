"""Sounds in a page: lossless FLAC, and Vorbis that is smaller and close."""

from __future__ import annotations

import io

import pytest
import soundfile
import torch

from torchmelinv.errors import InputError
from torchmelinv.page.sounds import FLAC, VORBIS, encode
from torchmelinv.synthetic_voice import signal


@pytest.mark.parametrize("channels", [1, 2])
def test_flac_is_exact_to_16_bit(channels: int) -> None:
    waveform = torch.rand(channels, 70_000) * 2 - 1
    samples, rate = soundfile.read(io.BytesIO(encode(waveform, 44_100, FLAC)), always_2d=True)
    assert rate == 44_100
    assert (torch.from_numpy(samples.T) - waveform).abs().max() <= 2**-15


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_vorbis_is_smaller_and_close(rate: int) -> None:
    waveform = signal(1.0)[None]
    data = encode(waveform, rate, VORBIS)
    samples, decoded_rate = soundfile.read(io.BytesIO(data), always_2d=True, dtype="float32")
    error = torch.from_numpy(samples.T) - waveform
    assert decoded_rate == rate
    assert samples.shape[0] == waveform.shape[-1]  # not a sample later
    assert error.norm() < 0.2 * waveform.norm()
    assert len(data) < 0.6 * len(encode(waveform, rate, FLAC))


def test_a_rate_that_the_format_lacks() -> None:
    with pytest.raises(InputError, match="cannot hold sound at 900000 Hz"):
        encode(torch.zeros(1, 10), 900_000, FLAC)
