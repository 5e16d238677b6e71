"""Gradients against finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def is_derivative(function: Callable[[Tensor], Tensor], values: Tensor, eps: float = 1e-7) -> bool:
    """Return whether autograd agrees with central differences along three random directions.

    The bound is 1e-5 of the steepest slope. Values of size 1 move by 1e-7: the error of a
    difference is the square of that, and rounding of 1e-16 / 1e-7, which iterations amplify.
    """
    leaf = values.detach().requires_grad_()
    with torch.no_grad():
        weights = torch.randn_like(function(leaf))
    (gradient,) = torch.autograd.grad((function(leaf) * weights).sum(), leaf)
    error = 0.0
    for _ in range(3):
        direction = torch.randn_like(leaf)
        with torch.no_grad():
            difference = function(leaf + eps * direction) - function(leaf - eps * direction)
            slope = (difference * weights).sum() / (2 * eps)
        steepest = gradient.norm() * direction.norm()
        error = max(error, float((slope - (gradient * direction).sum()).abs() / steepest))
    return 0 < gradient.norm() < math.inf and error < 1e-5
