"""The statistics of a logarithmic mel, and which frames of a padded batch they count."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.transforms.log_statistics import log_statistics

MEL = MelSpectrogram(TINY_LOG)(tones(1600)).double()


def test_extremes_are_those_of_the_values_and_of_the_natural_logarithm():
    decibels = TINY_LOG.replace(level=Compression(log="log10", floor=1e-5, multiplier=20))
    statistics = log_statistics(MEL * 20 / math.log(10), decibels)
    expected = log_statistics(MEL, TINY_LOG)
    for name in ("lowest", "highest", "loud", "zero_depth"):
        assert getattr(statistics, name) == pytest.approx(getattr(expected, name))
    assert statistics.high == pytest.approx(expected.high * 20 / math.log(10))
    assert (expected.low, expected.mean) == (float(MEL.min()), pytest.approx(float(MEL.mean())))


def test_loud_is_the_part_of_an_items_own_frames():
    mel = torch.full((2, 16, 20), -9.0)
    mel[1, :, :6] = 3.0
    mask = torch.arange(20) < torch.tensor([20, 8])[:, None, None]
    assert log_statistics(mel[0], TINY_LOG).loud == 0
    assert log_statistics(mel, TINY_LOG).loud == pytest.approx(6 / 20)
    assert log_statistics(mel, TINY_LOG, mask).loud == pytest.approx(6 / 8)


def test_zero_depth_is_the_distance_of_the_others():
    mel = torch.full((2, 16, 20), -9.0)
    assert log_statistics(mel, TINY_LOG).zero_depth == 0
    mel[1, :8, 5] = 0  # half of the bands
    assert log_statistics(mel, TINY_LOG).zero_depth == pytest.approx(18)
    mel[1, 7, 5] = -9
    assert log_statistics(mel, TINY_LOG).zero_depth == 0
    mel[1, 3] = 0
    mel[1, 3, 19] = -9
    assert log_statistics(mel, TINY_LOG).zero_depth == 0
    mask = torch.arange(20) < torch.tensor([20, 19])[:, None, None]
    assert log_statistics(mel, TINY_LOG, mask).zero_depth == pytest.approx(18)
    assert log_statistics(torch.zeros(16, 4), TINY_LOG).zero_depth == 0
