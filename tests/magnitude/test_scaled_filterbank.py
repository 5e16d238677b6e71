"""The scaled filterbank: peaks of 1, and inverse Hessians against dense matrices."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY
from torchmelinv.magnitude.scaled_filterbank import ScaledFilterbank, scaled_filterbank
from torchmelinv.transforms.mel_filterbank import MelFilterbank

F64 = torch.float64
CPU = torch.device("cpu")
# Bins of three filters: the Hessian is not tridiagonal.
OVERLAPPING = torch.tensor([[1.0, 2, 1, 1, 0], [0, 1, 3, 1, 0], [0, 1, 1, 4, 1]], dtype=F64)
FILTERBANKS = pytest.mark.parametrize(
    "filterbank",
    [MelFilterbank(TINY), MelFilterbank(DEFICIENT), MelFilterbank(OVERLAPPING)],
    ids=["tiny", "deficient", "overlapping"],
)


@FILTERBANKS
def test_filters_have_a_peak_of_one_and_empty_filters_stay_zero(filterbank):
    scaled = ScaledFilterbank(filterbank.matrix, F64, CPU)
    empty = ~filterbank.table.any(1)
    torch.testing.assert_close(scaled.matrix.amax(1), (~empty).to(F64))
    torch.testing.assert_close(scaled.peak * scaled.matrix, filterbank.table)


@FILTERBANKS
def test_forward_and_adjoint_are_products_with_the_matrix(filterbank):
    scaled = ScaledFilterbank(filterbank.matrix, F64, CPU)
    n_mels, n_freqs = scaled.matrix.shape
    spectrum, mel = torch.rand(2, n_freqs, 3, dtype=F64), torch.rand(2, n_mels, 3, dtype=F64)
    torch.testing.assert_close(scaled.forward @ spectrum, scaled.matrix @ spectrum)
    torch.testing.assert_close(scaled.adjoint @ mel, scaled.matrix.T @ mel)


@FILTERBANKS
def test_hessian_inverse(filterbank):
    scaled = ScaledFilterbank(filterbank.matrix, F64, CPU)
    n_mels, n_freqs = scaled.matrix.shape
    slope = torch.rand(2, n_freqs, 3, dtype=F64)
    ridge = 0.1 + torch.rand(2, n_mels, 3, dtype=F64)
    right = torch.randn(2, n_mels, 3, dtype=F64)
    result = scaled.hessian_inverse(slope, ridge)(right)
    for item in range(2):
        for frame in range(3):
            M = scaled.matrix
            hessian = M * slope[item, :, frame] @ M.T + ridge[item, :, frame].diag()
            expected = torch.linalg.solve(hessian, right[item, :, frame])
            torch.testing.assert_close(result[item, :, frame], expected, rtol=1e-9, atol=1e-9)


def test_tables_are_cached_for_each_matrix_and_dtype():
    matrix, like = MelFilterbank(TINY).matrix, torch.zeros(0)
    first = scaled_filterbank(matrix, like)
    assert scaled_filterbank(matrix, like) is first
    assert scaled_filterbank(matrix, like.double()) is not first
    assert scaled_filterbank(MelFilterbank(TINY).matrix, like) is first
    assert scaled_filterbank(MelFilterbank(DEFICIENT).matrix, like) is not first
