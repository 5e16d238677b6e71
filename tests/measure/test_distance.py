"""Distances: known answers, invariances, silence."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.functional import log_mel_l1, mel_error_db, spectral_convergence_db

REFERENCE = torch.rand(2, 3, 8, 5) + 0.1


@pytest.mark.parametrize("distance", [mel_error_db, spectral_convergence_db])
def test_decibels(distance):
    torch.testing.assert_close(distance(1.1 * REFERENCE, REFERENCE), torch.full((2, 3), -20.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(distance(7 * REFERENCE, 6 * REFERENCE), distance(7e-5 * REFERENCE, 6e-5 * REFERENCE))
    assert (distance(REFERENCE, REFERENCE) == -300).all()
    assert distance(torch.zeros(8, 5), torch.zeros(8, 5)) == -300
    assert distance(torch.ones(8, 5), torch.zeros(8, 5)) == math.inf
    assert distance(torch.full((8, 5), math.nan), torch.ones(8, 5)).isnan()
    for scale in (1e-30, 1e20):
        found = distance(1.1 * scale * REFERENCE, scale * REFERENCE)
        torch.testing.assert_close(found, torch.full((2, 3), -20.0), atol=1e-3, rtol=0)


def test_log_mel():
    torch.testing.assert_close(log_mel_l1(math.e * REFERENCE, REFERENCE), torch.ones(2, 3))
    assert log_mel_l1(torch.zeros(8, 5), torch.full((8, 5), 1e-6)) == 0


def test_shapes_must_agree():
    with pytest.raises(InputError, match="must be equal"):
        mel_error_db(REFERENCE, REFERENCE[..., 1:])
