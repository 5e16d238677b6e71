"""Arithmetic whose values and gradients stay finite where a plain formula would give NaN or inf."""

from __future__ import annotations

import torch
from torch import Tensor


def safe_divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return numerator / denominator; 0 with a zero gradient where the denominator is ≤ 0."""
    positive = denominator > 0
    return torch.where(positive, numerator / torch.where(positive, denominator, 1), 0)


def safe_pow(base: Tensor, exponent: float) -> Tensor:
    """Return base ** exponent for a base ≥ 0; a base of 0 passes a zero gradient.

    Below an exponent of 1 the slope is infinite at 0 and overflows float32 just above 0. There,
    bases below the smallest normal number (and below 0) count as 0.
    """
    if exponent == 1:
        return base
    if exponent == 2:
        return base.square()
    if exponent > 1:
        return base.pow(exponent)
    vanishing = base <= torch.finfo(base.dtype).tiny
    positive = torch.where(vanishing, 1, base)
    return torch.where(vanishing, 0, positive.sqrt() if exponent == 0.5 else positive.pow(exponent))


def pow_in_place(base: Tensor, exponent: float) -> Tensor:
    """Raise a base ≥ 0 to a power in place and return it; without gradients, unlike `safe_pow`."""
    if exponent == 1:
        return base
    return base.sqrt_() if exponent == 0.5 else base.pow_(exponent)


def relative_norm(error: Tensor, reference: Tensor, dim: int | None = None) -> Tensor:
    """Return ‖error‖ / ‖reference‖; 0 where the reference is 0.

    Of each item, (items, …) -> (items, 1), or along `dim`, which becomes 1.
    """
    real = [each.abs() if each.is_complex() else each for each in (error, reference)]
    squared = [each.square() for each in real]
    if dim is None:
        squared, dim = [each.flatten(1) for each in squared], 1
    sums = [each.sum(dim, keepdim=True) for each in squared]
    return safe_divide(sums[0], sums[1]).sqrt()
