"""Keep the angle of each bin and give it a wanted magnitude: the projection P_A(c) = A c / |c| of Griffin and Lim.

A bin that is exactly zero has no angle: it stays zero and passes no gradient. With u = c / |c| and the incoming gradient g,

    dA = Re(conj(u) g),    dc = (A / |c|) (g − u Re(conj(u) g)),

so a change of c along u costs nothing, as it should. `abs` and division on complex tensors are slow and give NaN at
zero; here |c|² goes through one reciprocal square root.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmelinv.ops.precision import any_order, differentiated


def _inverse_modulus(spectrum: Tensor) -> Tensor:
    """1 / |c|, finite also where c is zero: |c|² gets twice the smallest normal number added."""
    parts = torch.view_as_real(spectrum)
    squares = torch.addcmul(parts.new_full((), torch.finfo(parts.dtype).tiny), parts, parts)
    return torch.add(squares[..., 0], squares[..., 1]).rsqrt_()


def impose_magnitude_vjp(spectrum: Tensor, magnitude: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients by the spectrum and by the magnitude, from that by the result."""
    inverse = _inverse_modulus(spectrum)
    unit = spectrum * inverse
    products = torch.view_as_real(unit) * torch.view_as_real(grad)
    along = products[..., 0] + products[..., 1]
    # A bin without an angle has no direction to turn in; the clamped reciprocal would send a huge number back.
    turn = (inverse * magnitude).masked_fill_(inverse > 0.5 * torch.finfo(inverse.dtype).tiny ** -0.5, 0)
    return unit.mul_(along).neg_().add_(grad).mul_(turn), along


def impose_magnitude_plainly(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """`impose_magnitude` in operations of torch alone, to be differentiated as often as wanted."""
    squares = torch.view_as_real(spectrum).square().sum(-1)
    alive = squares > 3 * torch.finfo(squares.dtype).tiny
    held = spectrum.detach() * _inverse_modulus(spectrum.detach())
    return magnitude * torch.where(alive, spectrum * torch.where(alive, squares, 1).rsqrt(), held)


class _ImposeMagnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, magnitude: Tensor) -> Tensor:
        ctx.save_for_backward(spectrum, magnitude)
        return spectrum * _inverse_modulus(spectrum).mul_(magnitude)

    @staticmethod
    @any_order
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        spectrum, magnitude = ctx.saved_tensors
        if torch.is_grad_enabled():
            return differentiated(impose_magnitude_plainly, (spectrum, magnitude), grad[0])
        return impose_magnitude_vjp(spectrum, magnitude, grad[0])


def impose_magnitude(spectrum: Tensor, magnitude: Tensor) -> Tensor:
    """Spectrum (…) with each bin's angle kept and its modulus set to `magnitude` (same shape, at least 0).

    Where no gradient is wanted the spectrum is overwritten: hand over one that nobody else needs.
    """
    if torch.is_grad_enabled() and (spectrum.requires_grad or magnitude.requires_grad):
        return _ImposeMagnitude.apply(spectrum, magnitude)
    return spectrum.mul_(_inverse_modulus(spectrum).mul_(magnitude))
