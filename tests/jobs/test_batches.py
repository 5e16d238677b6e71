"""Batches of like length under a limit: nothing lost, nothing doubled, little padding, little waiting."""

from __future__ import annotations

import numpy as np
import pytest

from torchmelinv.jobs.batches import Limit, batches

LENGTHS = np.random.default_rng(5).integers(1, 900, 500).tolist()


@pytest.mark.parametrize(("items", "frames"), [(1, 10**9), (8, 10**9), (64, 4000), (3, 1), (500, 10**9)])
def test_each_item_is_in_one_batch_that_keeps_the_limits(items, frames):
    made = list(batches(enumerate(LENGTHS), lambda item: item[1], Limit(items, frames)))
    assert sorted(item for batch in made for item in batch) == list(enumerate(LENGTHS))
    for batch in made:
        lengths = [length for _, length in batch]
        assert len(batch) <= items
        assert len(batch) * max(lengths) <= frames or len(batch) == 1
        assert max(lengths) <= 1.25 * min(lengths) + 1


def test_one_at_a_time_keeps_the_order():
    assert [batch for (batch,) in batches(LENGTHS, int, Limit(1, 10))] == LENGTHS


def test_little_waits():
    taken = 0

    def items():
        nonlocal taken
        for length in LENGTHS:
            taken += 1
            yield length

    given = 0
    for batch in batches(items(), int, Limit(8, 10**9)):
        given += len(batch)
        assert taken - given <= 4 * 8 + 1


def test_a_limit_may_be_lowered_on_the_way():
    limit = Limit(100, 1000)
    sizes = []
    for batch in batches([100] * 50, int, limit):
        sizes.append(len(batch))
        limit.frames = 300
    assert sizes[0] == 10
    assert max(sizes[1:]) == 3
    assert sum(sizes) == 50
