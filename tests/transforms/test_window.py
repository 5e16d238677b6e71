"""Windows: torch's, Povey's, their place in the frame, custom numbers; and the sum of squares."""

from __future__ import annotations

import pytest
import torch

from tests.problems import stft_convention
from torchmelinv.transforms.window import window_sumsquare, window_table


def test_windows():
    periodic = torch.hann_window(64, dtype=torch.float64)
    torch.testing.assert_close(window_table(stft_convention()), periodic)
    symmetric = torch.hann_window(40, periodic=False, dtype=torch.float64)
    left = window_table(stft_convention(window="povey", win_length=40, window_align="left"))
    torch.testing.assert_close(left[:40], symmetric**0.85)
    assert (left[40:] == 0).all()
    centered = window_table(stft_convention(window="hann_symmetric", win_length=40))
    torch.testing.assert_close(centered[12:52], symmetric)
    normalized = window_table(stft_convention(window_normalized=True))
    torch.testing.assert_close(normalized, periodic / periodic.square().sum().sqrt())


def test_custom_window():
    hamming = torch.hamming_window(40, dtype=torch.float64)
    convention = stft_convention(window=hamming, win_length=40)
    torch.testing.assert_close(window_table(convention)[12:52], hamming)
    assert hash(convention) == hash(type(convention).from_json(convention.to_json()))


@pytest.mark.parametrize("hop_length", [16, 24, 64])
def test_sumsquare_of_all_frames_repeats_every_hop(hop_length):
    convention = stft_convention(hop_length=hop_length)
    window = window_table(convention)
    squared = window.square()
    summed = torch.zeros(10 * hop_length + 64, dtype=torch.float64)
    for frame in range(10):
        summed[frame * hop_length : frame * hop_length + 64] += squared
    middle = 5 * hop_length
    period = window_sumsquare(window, hop_length)
    torch.testing.assert_close(period, summed[middle : middle + hop_length])
