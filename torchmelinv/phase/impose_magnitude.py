"""Impose a magnitude and keep the angles: the projection P_A(c) = A c / |c| of Griffin and Lim.

A bin that is exactly zero has no angle: it stays zero and passes no gradient. With u = c / |c| and
the incoming gradient g,

    dA = Re(conj(u) g),    dc = (A / |c|) (g − u Re(conj(u) g)),

so a change of c along u has no effect. `abs` and division of complex tensors are slow on the CPU
and give NaN at zero; there |c|² goes through one reciprocal square root. On CUDA, where launches
cost more, `abs` is one of them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.precision import backward_fp32, differentiable_vjp


def _inverse_abs(spectrum: Tensor) -> Tensor:
    """Return 1 / |c|; |c|² gets twice the smallest normal number added, so that it stays finite."""
    parts = torch.view_as_real(spectrum)
    squares = torch.addcmul(parts.new_full((), torch.finfo(parts.dtype).tiny), parts, parts)
    return torch.add(squares[..., 0], squares[..., 1]).rsqrt_()


def _gain(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Return A / |c|, bounded as `_inverse_abs` is."""
    if spectrum.is_cuda:
        smallest = math.sqrt(2 * torch.finfo(spectrum.dtype).tiny)
        return magnitude / spectrum.abs().add_(smallest)
    return _inverse_abs(spectrum).mul_(magnitude)


def impose_magnitude_vjp(
    spectrum: Tensor, magnitude: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to the spectrum and the magnitude."""
    inverse = _inverse_abs(spectrum)
    unit = spectrum * inverse
    products = torch.view_as_real(unit) * torch.view_as_real(grad)
    radial = products[..., 0] + products[..., 1]
    # A bin of 0 has no direction to rotate in; its bounded reciprocal would give a huge gradient.
    vanishing = inverse > 0.5 * torch.finfo(inverse.dtype).tiny ** -0.5
    rotation = (inverse * magnitude).masked_fill_(vanishing, 0)
    return unit.mul_(radial).neg_().add_(grad).mul_(rotation), radial


def impose_magnitude_plainly(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Return `impose_magnitude` in plain torch operations, differentiable any number of times."""
    squares = torch.view_as_real(spectrum).square().sum(-1)
    alive = squares > 3 * torch.finfo(squares.dtype).tiny
    constant = spectrum.detach() * _inverse_abs(spectrum.detach())
    unit = spectrum * torch.where(alive, squares, 1).rsqrt()
    return magnitude * torch.where(alive, unit, constant)


class _ImposeMagnitude(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(spectrum: Tensor, magnitude: Tensor) -> Tensor:
        return spectrum * _gain(spectrum, magnitude)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @backward_fp32
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, magnitude = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiable_vjp(impose_magnitude_plainly, (spectrum, magnitude), grad[0])
        return impose_magnitude_vjp(spectrum, magnitude, grad[0])


def impose_magnitude(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Return the spectrum with its angles and the given magnitude (same shape, at least 0).

    Overwrites the spectrum if no gradient is needed.
    """
    if torch.is_grad_enabled() and (spectrum.requires_grad or magnitude.requires_grad):
        return _ImposeMagnitude.apply(spectrum, magnitude)
    return spectrum.mul_(_gain(spectrum, magnitude))
