"""The gradient of every magnitude inverse against finite differences: mels that some spectrum has, and those that none has."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from tests.problems import DEFICIENT, TINY
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.functional import entropic, entropic_solve, least_distance, nnls, pinv, transpose
from torchmelinv.magnitude.dual_newton import HARD_RESIDUAL

F64 = torch.float64
FULL = TINY.replace(n_fft=32, n_mels=5)
# nnls may take thousands of iterations on a deficient bank; its gradient goes through as many as there are
INVERSES = [transpose, pinv, entropic, least_distance, functools.partial(nnls, n_iter=100)]
EACH = pytest.mark.parametrize("inverse", INVERSES, ids=["transpose", "pinv", "entropic", "least_distance", "nnls"])
BANKS = pytest.mark.parametrize("convention", [FULL, DEFICIENT], ids=["full rank", "deficient"])


def mel_of(bank: MelFilterbank, noise: float = 0.0) -> Tensor:
    mel = bank(torch.rand(2, bank.n_freqs, 3, dtype=F64) + 0.2)
    return mel * (noise * torch.randn_like(mel)).exp()


@EACH
@BANKS
def test_along_mels_that_some_spectrum_has(convention, inverse):
    """On a deficient bank other steps lead to mels that none has, where the softness jumps."""
    bank = MelFilterbank(convention)
    spectrum = (torch.rand(2, bank.n_freqs, 3, dtype=F64) + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: inverse(bank(s), bank), spectrum, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)


@EACH
@BANKS
def test_at_mels_that_no_spectrum_has(convention, inverse):
    bank = MelFilterbank(convention)
    mel = mel_of(bank, 1.0)
    assert (entropic_solve(mel, bank).residual > HARD_RESIDUAL).any()
    size = float(mel.mean())  # of filters with an area of 1 in Hz, far below 1
    function = lambda m: inverse(m * size, bank)  # noqa: E731
    assert torch.autograd.gradcheck(function, (mel / size).requires_grad_(), eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("inverse", [entropic, least_distance])
@BANKS
def test_by_the_prior(convention, inverse):
    bank = MelFilterbank(convention)
    mel = mel_of(bank)
    prior = (transpose(mel, bank) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: inverse(mel, bank, z), prior, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True)
