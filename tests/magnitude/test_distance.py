"""Both distances: derivatives and steps agree with the functions they belong to."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.magnitude.distance import Distance
from torchmelinv.magnitude.entropic import KULLBACK_LEIBLER
from torchmelinv.magnitude.least_distance import EUCLIDEAN

F64 = torch.float64
DISTANCES = pytest.mark.parametrize("distance", [KULLBACK_LEIBLER, EUCLIDEAN], ids=lambda d: d.name)


@DISTANCES
def test_slopes_are_derivatives_of_the_primal(distance: Distance):
    prior = torch.rand(1, 6, 3, dtype=F64) + 0.5
    exponent = torch.rand(1, 6, 3, dtype=F64)
    spectrum = distance.primal(prior, exponent)
    for slope, argument in ((distance.slope, 1), (distance.prior_slope, 0)):
        arguments = [prior, exponent]
        moved = [each + 1e-6 * (index == argument) for index, each in enumerate(arguments)]
        difference = (distance.primal(*moved) - spectrum) / 1e-6
        torch.testing.assert_close(slope(prior, spectrum), difference, rtol=1e-4, atol=1e-5)


@DISTANCES
def test_a_mel_that_is_met_moves_nothing(distance: Distance):
    class Filterbank:
        scale = torch.ones(4, 1, dtype=F64)
        gram_inverse = torch.eye(4, dtype=F64)

    mel, multiplier = torch.rand(1, 4, 3, dtype=F64) + 0.1, torch.rand(1, 4, 3, dtype=F64)
    step = distance.ascent(Filterbank(), mel, distance.weight(mel))
    torch.testing.assert_close(step(multiplier, mel.clone()), multiplier)
    assert (step(multiplier, 0.5 * mel) > multiplier).all()
