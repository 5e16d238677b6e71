"""Batches: masks from lengths, and item by item equals all at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask, frames_first, length_mask, map_batch


def test_results_are_concatenated_in_order():
    sizes = []

    def double(first, second, nothing):
        sizes.append(len(first))
        assert nothing is None
        return 2 * first, first + second

    first, second = torch.rand(3, 4), torch.rand(3, 4)
    doubled, added = map_batch(double, first, second, None)
    assert sizes == [1, 1, 1]
    assert torch.equal(doubled, 2 * first)
    assert torch.equal(added, first + second)
    assert map_batch(double, first[:0], second[:0], None)[0].shape == (0, 4)


def test_named_tuples_stay_named_tuples():
    class Pair(NamedTuple):
        value: Tensor
        square: Tensor

    values = torch.rand(3, 2)
    result = map_batch(lambda each: Pair(each, each.square()), values)
    assert isinstance(result, Pair)
    assert torch.equal(result.square, values.square())


def test_length_mask():
    assert length_mask(torch.tensor([[0, 2], [3, 1]]), 3).int().tolist() == [
        [[0, 0, 0], [1, 1, 0]],
        [[1, 1, 1], [1, 0, 0]],
    ]


def test_frame_mask():
    mask = frame_mask(torch.tensor([0, 2]), torch.zeros(2, 5, 3))
    assert mask.int().tolist() == [[[0, 0, 0]], [[1, 1, 0]]]


def test_frames_first():
    spectrum = torch.rand(2, 3, 5, 7)
    rows = frames_first(spectrum)
    assert rows.is_contiguous()
    assert torch.equal(rows, spectrum.flatten(0, 1).mT)
    assert frames_first(spectrum[0, 0]).shape == (1, 7, 5)
