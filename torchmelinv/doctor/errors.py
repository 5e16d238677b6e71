"""Distances of a result in float32 from the one in float64, and what is allowed of them.

The bounds are 15 to 30 times the errors of plain torch in float32: 3.3e-7 and 2e-7 of the peak for
a step, 1e-7 of the norm for a magnitude.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

STEP_ERROR, MEL_STEP_ERROR = 1e-5, 5e-6  # of the peak
MAGNITUDE_ERROR = 3e-6  # of the norm
# A norm would be dominated by the few values with a small |c|, which float32 cannot resolve. So the
# median error is bounded, relative to the median value, and the share of values whose error exceeds
# a hundredth of themselves and the median.
MEDIAN_ERROR, OFF, MAX_OFF = 1e-4, 1e-2, 0.05
# Angles may differ by more than FAR radians in this part of the bins: a tie that falls the other
# way turns a whole region.
FAR, MAX_FAR = 1e-3, 0.01


def norm_error(result: Tensor, expected: Tensor) -> float:
    """Return ‖result − expected‖ / ‖expected‖; NaN if any value is."""
    error = torch.linalg.vector_norm(result.double() - expected)
    return float(error / torch.linalg.vector_norm(expected))


def peak_error(result: Tensor, expected: Tensor) -> float:
    """Return the largest error relative to the peak; NaN if any value is."""
    return float((result.double() - expected).abs().max() / expected.abs().max())


def gradient_errors(result: Tensor, expected: Tensor) -> tuple[float, float]:
    """Return the median error relative to the median value, and the share of values that are off.

    A value is off if its error exceeds a hundredth of itself and the median, or is NaN.
    """
    error, size = (result.double() - expected).abs(), expected.abs()
    median = size.median()
    off = float((~(error <= OFF * (size + median))).double().mean())
    return float(error.median() / median), off


def far_share(angles: Tensor, expected: Tensor) -> float:
    """Return the share of angles farther than 0.001 from the expected ones, on the circle."""
    difference = (angles.double() - expected).remainder(2 * math.pi)
    near = torch.minimum(difference, 2 * math.pi - difference) <= FAR
    return 1 - float(near.double().mean())
