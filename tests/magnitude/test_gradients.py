"""Gradients of every filterbank inverse against finite differences, also for impossible mels."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from tests.problems import DEFICIENT, TINY
from torchmelinv.magnitude import MAGNITUDES, nnls
from torchmelinv.magnitude.dual_newton import HARD_RESIDUAL
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.magnitude.least_distance import least_distance
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank

F64 = torch.float64
FULL = TINY.replace(n_fft=32, n_mels=5)
# Few iterations of nnls: its gradient passes through all of them, thousands on a deficient bank.
INVERSES = {**MAGNITUDES, "nnls": functools.partial(nnls.nnls, n_iter=100)}
EACH = pytest.mark.parametrize("inverse", INVERSES.values(), ids=INVERSES)
BANKS = pytest.mark.parametrize("convention", [FULL, DEFICIENT], ids=["full rank", "deficient"])


def mel_of(bank: MelFilterbank, noise: float = 0.0) -> Tensor:
    mel = bank(torch.rand(2, bank.n_freqs, 3, dtype=F64) + 0.2)
    return mel * (noise * torch.randn_like(mel)).exp()


@EACH
@BANKS
def test_along_possible_mels(convention, inverse):
    """On a deficient bank, other steps lead to impossible mels, where ρ jumps."""
    bank = MelFilterbank(convention)
    spectrum = (torch.rand(2, bank.n_freqs, 3, dtype=F64) + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: inverse(bank(s), bank), spectrum, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True
    )


@EACH
@BANKS
def test_at_impossible_mels(convention, inverse):
    bank = MelFilterbank(convention)
    mel = mel_of(bank, 1.0)
    assert (entropic_solve(mel, bank).residual > HARD_RESIDUAL).any()
    size = float(mel.mean())  # far below 1: filters have an area of 1 in Hz
    function = lambda m: inverse(m * size, bank)  # noqa: E731
    assert torch.autograd.gradcheck(
        function, (mel / size).requires_grad_(), eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True
    )


@pytest.mark.parametrize("inverse", [entropic, least_distance])
@BANKS
def test_gradient_of_the_prior(convention, inverse):
    bank = MelFilterbank(convention)
    mel = mel_of(bank)
    prior = (transpose(mel, bank) + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: inverse(mel, bank, z), prior, eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True
    )
