"""Least distance: without active bounds it corrects the prior by the pseudo-inverse."""

from __future__ import annotations

import torch

from tests.problems import TINY
from torchmelinv.magnitude.least_distance import least_distance
from torchmelinv.transforms.mel_filterbank import MelFilterbank


def test_is_the_orthogonal_projection_where_no_bin_reaches_zero():
    bank = MelFilterbank(TINY)
    spectrum = 1 + 0.1 * torch.rand(bank.n_freqs, 3, dtype=torch.float64)
    prior = torch.ones_like(spectrum)
    mel = bank(spectrum)
    expected = prior + bank.pinv(mel - bank(prior))
    torch.testing.assert_close(least_distance(mel, bank, prior), expected, atol=1e-6, rtol=1e-6)
