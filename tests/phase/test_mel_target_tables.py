"""The tables of a mel as the target: shares of bins, edges, and the lowest bins alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import DEFICIENT, TINY
from torchmelinv.conventions import MelConvention
from torchmelinv.phase.mel_target_tables import MelTargetTables, mel_target_tables
from torchmelinv.transforms.mel_filterbank import MelFilterbank

F64 = torch.float64
CONVENTIONS = pytest.mark.parametrize("convention", [TINY, DEFICIENT], ids=["tiny", "deficient"])


def tables_of(convention: MelConvention) -> MelTargetTables:
    return mel_target_tables(MelFilterbank(convention).matrix, torch.zeros(0, dtype=F64))


def dense(table: MelTargetTables) -> tuple[Tensor, Tensor]:
    """Return M and M / Mᵀ1 as the banded products have them."""
    bins = torch.eye(table.M_matrix.shape[1], dtype=F64)
    return table.M.of_rows(bins).T, table.M_norm.of_rows(bins).T


@CONVENTIONS
def test_the_shares_of_a_bin_add_up_to_one(convention):
    tables = tables_of(convention)
    M, M_norm = dense(tables)
    torch.testing.assert_close(M, tables.M_matrix)
    torch.testing.assert_close(M_norm, tables.M_norm_matrix)
    covered = (M.sum(0) > 0).to(F64)
    torch.testing.assert_close(M_norm.sum(0), covered)
    torch.testing.assert_close(tables.per_band * M.sum(1), (M.sum(1) > 0).to(F64))


@pytest.mark.parametrize(("convention", "n_freqs"), [(TINY, 17), (TINY, 33), (DEFICIENT, 17)])
def test_the_lowest_bins_keep_the_bands_that_end_below_them(convention, n_freqs):
    tables = tables_of(convention)
    lowest = tables.lowest(n_freqs)
    assert tables.lowest(n_freqs) is lowest
    n_rows = len(lowest.M_matrix)
    assert 0 < n_rows < len(tables.M_matrix)
    assert torch.equal(lowest.M_matrix, tables.M_matrix[:n_rows, :n_freqs])
    assert not tables.M_matrix[:n_rows, n_freqs - 1 :].any()
    assert tables.M_matrix[n_rows, n_freqs - 1 :].any()
    # The share of a bin in the bands that were left out is the rest.
    covered = (tables.M_matrix.sum(0) > 0).to(F64)[:n_freqs]
    torch.testing.assert_close(lowest.M_norm_matrix.sum(0) + lowest.rest, covered)


def test_the_last_center_but_one():
    tables = tables_of(TINY)
    peaks = tables.M_matrix.argmax(1)
    assert tables.inner_center == peaks[-2]
    assert tables.lowest(17).inner_center < tables.lowest(33).inner_center < tables.inner_center
