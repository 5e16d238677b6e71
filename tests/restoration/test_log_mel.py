"""Log mels: floors, padding, bounds, means."""

from __future__ import annotations

import math

import pytest
import torch

from tests.restoration.smoothed import (
    CONVENTION,
)
from torchmelinv.restoration.log_mel import (
    audible,
    bounded,
    decompressed,
    energy,
    hold_last_frame,
    log_magnitude,
    masked_mean,
)


def test_the_floor_is_100_db_below_the_peak_of_each_item():
    linear = torch.tensor([[[1.0, 1e-9]], [[1e-4, 0.0]], [[0.0, 0.0]]])
    floor = -math.log(1e5)
    expected = torch.tensor([[[0, floor]], [[math.log(1e-4), math.log(1e-4) + floor]], [[0, 0]]])
    torch.testing.assert_close(log_magnitude(linear, 1), expected)
    torch.testing.assert_close(log_magnitude(linear.square(), 2)[0], expected[0])


def test_nan_is_no_silence():
    assert torch.isnan(log_magnitude(torch.tensor([[[math.nan, 1.0]]]), 1)).all()


def test_padding_holds_the_last_frame():
    log_mel = torch.tensor([[[1.0, 2.0, 9.0]], [[1.0, 2.0, 3.0]]])
    held = hold_last_frame(log_mel, torch.tensor([2, 3]))
    assert held.tolist() == [[[1, 2, 2]], [[1, 2, 3]]]
    assert not audible(held, torch.tensor([2, 3]), math.inf)[0, 0, 2]


def test_bounds_means_and_energies():
    assert bounded(torch.tensor([5.0, -5.0]), torch.zeros(2)).tolist() == [1.5, -5.0]
    values = torch.tensor([[1.0, 2.0, math.nan]])
    mask = torch.tensor([[True, True, False]])
    assert masked_mean(values, mask, -1).tolist() == [[1.5]]
    assert masked_mean(values, ~mask & False, -1).tolist() == [[0]]
    log_mel = torch.tensor([[[0.0, math.log(2), 7.0]]])
    assert float(energy(log_mel, torch.tensor([2]))) == pytest.approx(2.5)


def test_padding_does_not_reach_the_linear_mel():
    mel = torch.full((1, 80, 3), 2.0)
    linear, counts = decompressed(mel, CONVENTION, torch.tensor([2]))
    assert counts is not None
    assert not linear[..., 2].any()
    assert torch.equal(linear[..., :2], mel[..., :2].exp())
