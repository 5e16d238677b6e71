"""Banded products equal dense products."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.transforms.banded import Banded


def band_matrix() -> torch.Tensor:
    """A matrix (20, 33) with four entries per row, and one empty row."""
    matrix = torch.zeros(20, 33, dtype=torch.float64)
    for row in range(20):
        matrix[row, row : row + 4] = torch.rand(4, dtype=torch.float64)
    matrix[7] = 0  # a filter without bins
    return matrix


@pytest.mark.parametrize("rows_per_block", [1, 3, 16, 100])
def test_product_with_columns_and_rows(rows_per_block):
    matrix = band_matrix()
    banded = Banded(matrix, rows_per_block)
    right = torch.rand(2, 33, 5, dtype=torch.float64)
    torch.testing.assert_close(banded @ right, matrix @ right)
    torch.testing.assert_close(banded.of_rows(right.mT), right.mT @ matrix.T)


def test_zero_and_dense_matrices():
    zero = torch.zeros(4, 6)
    assert torch.equal(Banded(zero) @ torch.rand(6, 2), torch.zeros(4, 2))
    dense = torch.rand(4, 6)
    torch.testing.assert_close(Banded(dense) @ torch.eye(6), dense)


def test_to_converts_without_changing_the_original():
    matrix = band_matrix()
    banded = Banded(matrix)
    single = banded.to(torch.float32, torch.device("cpu"))
    assert single.shape == banded.shape == (20, 33)
    right = torch.rand(33, 5)
    torch.testing.assert_close(single @ right, matrix.float() @ right)
    assert (banded @ right.double()).dtype == torch.float64


def test_to_does_not_read_values_on_the_device():
    banded = Banded(band_matrix()).to(torch.float32, torch.device("meta"))
    product = banded @ torch.zeros(33, 5, device="meta")
    assert product.device.type == "meta"
    assert product.shape == (20, 5)


def test_other_devices_get_one_dense_block():
    matrix = band_matrix()
    banded = Banded(matrix, 3)
    moved = banded.to(torch.float32, torch.device("meta"))
    ((columns, block),) = moved.blocks
    assert columns == slice(None)
    assert block.shape == matrix.shape
    assert torch.equal(banded._dense, matrix)
