"""Item by item is the same as all at once."""

from __future__ import annotations

import torch

from torchmelinv.ops.items import leading, over_items


def test_results_are_put_together_in_order():
    seen = []

    def double(one, other, nothing):
        seen.append(len(one))
        assert nothing is None
        return 2 * one, one + other

    first, second = torch.rand(3, 4), torch.rand(3, 4)
    doubled, added = over_items(double, first, second, None)
    assert seen == [1, 1, 1]
    assert torch.equal(doubled, 2 * first)
    assert torch.equal(added, first + second)
    assert over_items(double, first[:0], second[:0], None)[0].shape == (0, 4)


def test_leading_entries():
    assert leading(torch.tensor([[0, 2], [3, 1]]), 3).int().tolist() == [[[0, 0, 0], [1, 1, 0]], [[1, 1, 1], [1, 0, 0]]]
