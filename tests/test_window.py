"""Windows: torch's own, Povey's, placed in the frame, by numbers; and what they add up to."""

from __future__ import annotations

import pytest
import torch

from tests.problems import frame_convention
from torchmelinv.window import hop_envelope, window_table


def test_windows():
    periodic = torch.hann_window(64, dtype=torch.float64)
    torch.testing.assert_close(window_table(frame_convention()), periodic)
    symmetric = torch.hann_window(40, periodic=False, dtype=torch.float64)
    left = window_table(frame_convention(window="povey", win_length=40, window_align="left"))
    torch.testing.assert_close(left[:40], symmetric**0.85)
    assert (left[40:] == 0).all()
    centred = window_table(frame_convention(window="hann_symmetric", win_length=40))
    torch.testing.assert_close(centred[12:52], symmetric)
    normalized = window_table(frame_convention(window_normalized=True))
    torch.testing.assert_close(normalized, periodic / periodic.square().sum().sqrt())
    by_numbers = frame_convention(window=torch.hamming_window(40, dtype=torch.float64), win_length=40)
    torch.testing.assert_close(window_table(by_numbers)[12:52], torch.hamming_window(40, dtype=torch.float64))
    assert hash(by_numbers) == hash(type(by_numbers).from_json(by_numbers.to_json()))


@pytest.mark.parametrize("hop_length", [16, 24, 64])
def test_the_envelope_of_all_frames_repeats_every_hop(hop_length):
    convention = frame_convention(hop_length=hop_length)
    squared, summed = window_table(convention).square(), torch.zeros(10 * hop_length + 64, dtype=torch.float64)
    for frame in range(10):
        summed[frame * hop_length : frame * hop_length + 64] += squared
    middle = 5 * hop_length
    torch.testing.assert_close(hop_envelope(convention), summed[middle : middle + hop_length])
