"""The transposed filterbank interpolates: flat stays flat, bins without a filter are silent."""

from __future__ import annotations

import torch

from tests.problems import DEFICIENT, TINY
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank


def test_a_flat_spectrum_comes_back_flat():
    bank = MelFilterbank(TINY)
    flat = torch.full((bank.n_freqs, 3), 2.0, dtype=torch.float64)
    covered = bank.table.sum(0) > 0
    result = transpose(bank(flat), bank)
    torch.testing.assert_close(result[covered], flat[covered])
    assert (result[~covered] == 0).all()


def test_finite_and_positive_with_empty_filters():
    bank = MelFilterbank(DEFICIENT)
    assert (bank.table.sum(1) == 0).any()
    result = transpose(torch.rand(2, bank.n_mels, 4), bank)
    assert result.isfinite().all()
    assert (result >= 0).all()
