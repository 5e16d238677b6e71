"""Distances from a result in float64."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.doctor.errors import far_share, gradient_errors, norm_error, peak_error

EXACT = torch.tensor([3.0, -4.0], dtype=torch.float64)


def test_relative_to_the_norm_and_to_the_peak():
    result = torch.tensor([3.0, -3.5])
    assert norm_error(result, EXACT) == pytest.approx(0.1)
    assert peak_error(result, EXACT) == pytest.approx(0.125)
    broken = torch.tensor([3.0, torch.nan])
    assert math.isnan(norm_error(broken, EXACT))
    assert math.isnan(peak_error(broken, EXACT))


def test_gradients_by_their_median_and_the_share_that_is_off():
    exact = torch.arange(1, 102, dtype=torch.float64)
    result = exact.clone()
    assert gradient_errors(result, exact) == (0, 0)
    result[:20] *= 5
    median, off = gradient_errors(result, exact)
    assert median == 0
    assert off == pytest.approx(20 / 101)
    result[:] = torch.nan
    assert gradient_errors(result, exact)[1] == 1


def test_angles_on_the_circle():
    exact = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)
    angles = exact + torch.tensor([2 * math.pi, -4 * math.pi, 5e-4, 0.1])
    assert far_share(angles.float(), exact) == 0.25
    assert far_share(torch.full((4,), torch.nan), exact) == 1
