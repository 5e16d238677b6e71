"""Banded products are products."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.ops.banded import Banded


@pytest.mark.parametrize("rows_in_a_chunk", [1, 3, 16, 100])
def test_product(rows_in_a_chunk):
    matrix = torch.zeros(20, 33, dtype=torch.float64)
    for row in range(20):
        matrix[row, row : row + 4] = torch.rand(4, dtype=torch.float64)
    matrix[7] = 0  # a filter without bins
    right = torch.rand(2, 33, 5, dtype=torch.float64)
    torch.testing.assert_close(Banded(matrix, rows_in_a_chunk) @ right, matrix @ right)


def test_nothing_and_everything():
    zero = torch.zeros(4, 6)
    assert torch.equal(Banded(zero) @ torch.rand(6, 2), torch.zeros(4, 2))
    dense = torch.rand(4, 6)
    torch.testing.assert_close(Banded(dense) @ torch.eye(6), dense)
