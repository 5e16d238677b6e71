"""Batches of similar length under a limit: each item once, little padding, few items waiting."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv.corpus.batching import BatchLimit, batch_by_length, pad_stack

LENGTHS = np.random.default_rng(5).integers(1, 900, 500).tolist()


@pytest.mark.parametrize(
    ("max_items", "max_frames"), [(1, 10**9), (8, 10**9), (64, 4000), (3, 1), (500, 10**9)]
)
def test_each_item_is_in_one_batch_within_the_limits(max_items, max_frames):
    limit = BatchLimit(max_items, max_frames)
    batches = list(batch_by_length(enumerate(LENGTHS), lambda item: item[1], limit))
    assert sorted(item for batch in batches for item in batch) == list(enumerate(LENGTHS))
    for batch in batches:
        lengths = [length for _, length in batch]
        assert len(batch) <= max_items
        assert len(batch) * max(lengths) <= max_frames or len(batch) == 1
        assert max(lengths) <= 1.25 * min(lengths) + 1


def test_channels_count_and_equally_many_share_a_batch():
    items = [(length, 1 + index % 3) for index, length in enumerate(LENGTHS)]
    limit = BatchLimit(8, 4000)
    batches = list(batch_by_length(items, lambda item: item[0], limit, lambda item: item[1]))
    assert sorted(item for batch in batches for item in batch) == sorted(items)
    for batch in batches:
        lengths, counts = zip(*batch, strict=True)
        assert len(set(counts)) == 1
        assert sum(counts) <= 8
        assert sum(counts) * max(lengths) <= 4000 or len(batch) == 1
    equal = batch_by_length([100] * 12, int, limit, lambda _: 2)
    assert [len(batch) for batch in equal] == [4, 4, 4]


def test_single_items_keep_their_order():
    batches = batch_by_length(LENGTHS, int, BatchLimit(1, 10))
    assert [batch for (batch,) in batches] == LENGTHS


def test_few_items_wait():
    taken = 0

    def items():
        nonlocal taken
        for length in LENGTHS:
            taken += 1
            yield length

    yielded = 0
    for batch in batch_by_length(items(), int, BatchLimit(8, 10**9)):
        yielded += len(batch)
        assert taken - yielded <= 4 * 8 + 1


def test_the_limit_may_be_lowered_meanwhile():
    limit = BatchLimit(100, 1000)
    sizes = []
    for batch in batch_by_length([100] * 50, int, limit):
        sizes.append(len(batch))
        limit.max_frames = 300
    assert sizes[0] == 10
    assert max(sizes[1:]) == 3
    assert sum(sizes) == 50


def test_padding_is_zero():
    padded = pad_stack([torch.ones(2, 3), torch.ones(2, 1)], 4)
    assert torch.equal(padded[0], torch.tensor([[1.0, 1, 1, 0]] * 2))
    assert torch.equal(padded[1], torch.tensor([[1.0, 0, 0, 0]] * 2))
