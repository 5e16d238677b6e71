"""Weights of frames in the synthesis: quiet frames count like loud ones.

The signal nearest to a spectrum that no signal has is a compromise between overlapping frames. By
least squares, an error counts by its energy, so loud frames win: beside them, before an onset or
after a vowel, quiet frames miss their mel by far. With the level E_t of each frame's mel and

    W_t = 1 / (E_t / max E + 10⁻³)

errors count nearly by their ratio to the frame. The change of a projection is then

    x = y + A⁺_W((g − 1) A y),    A⁺_W(c) = Σ_t w · W_t · irfft(c_t) / Σ_t W_t w²,

with the gains g of the mel (`mel_target.py`). A signal with its mel stays as it is. The cost is
that of the projection without weights. Backward stores the signal y, as that does.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import backward_fp32_once
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.transforms.overlap_add import overlap_add
from torchmelinv.transforms.stft_plan import STFTPlan, fit_length

QUIETEST = 1e-3  # of the loudest frame; measured with 1e-4 to 1e-2, which come within 0.02 PESQ


class FrameWeights(NamedTuple):
    """Weights of the frames, and the synthesis that divides by the windows with these weights."""

    values: Tensor  # W, (items, frames, 1); 0 in padding frames
    plan: STFTPlan


def frame_weights(target: MelTarget, plan: STFTPlan) -> FrameWeights:
    """Return the weights for a mel; a gradient passes to it."""
    level = torch.linalg.vector_norm(target.envelope(), dim=-1, keepdim=True)
    own = torch.ones_like(level) if plan.frame_mask is None else plan.frame_mask.to(level.dtype)
    weights = own / (safe_divide(level, level.amax(1, keepdim=True)) + QUIETEST)
    share = safe_divide(_sumsquare(plan, own), _sumsquare(plan, weights))
    weighted = dataclasses.replace(plan, inverse_sumsquare=plan.inverse_sumsquare * share)
    return FrameWeights(weights, weighted)


def _sumsquare(plan: STFTPlan, weights: Tensor) -> Tensor:
    """Return Σ_t W_t w², (items, n_samples)."""
    frames = weights.expand(*weights.shape[:2], len(plan.window))
    total = overlap_add(frames, plan.window.square(), plan.convention.hop_length)
    return fit_length(total[..., plan.convention.left_padding :], plan.n_samples)


class _WeightedProjection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        signal: Tensor,
        values: Tensor,
        weights: Tensor,
        inverse_sumsquare: Tensor,
        target: MelTarget,
        plan: STFTPlan,
    ) -> Tensor:
        # `values` belong to the target, the two tensors after them to the weights; they are
        # arguments so that autograd sees them.
        ctx.save_for_backward(signal, weights, inverse_sumsquare)
        ctx.target = target
        ctx.plan = dataclasses.replace(plan, inverse_sumsquare=inverse_sumsquare)
        return signal + plan.inverse(weighted_change(target, plan.forward(signal), weights))

    @staticmethod
    @backward_fp32_once
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        target, plan = ctx.target, ctx.plan
        signal, weights, inverse_sumsquare = ctx.saved_tensors
        spectrum, change_grad = plan.forward(signal), plan.inverse_adjoint(grad[0])
        weights_grad = inverse_grad = None
        if ctx.needs_input_grad[2]:
            change = weighted_change(target, spectrum.clone(), torch.ones_like(weights))
            products = change.real * change_grad.real + change.imag * change_grad.imag
            weights_grad = products.sum(-1, keepdim=True)
            unit = dataclasses.replace(plan, inverse_sumsquare=torch.ones_like(inverse_sumsquare))
            inverse_grad = grad[0] * unit.inverse(change.mul_(weights))
        change_grad = change_grad * weights
        spectrum_grad, values_grad = target.vjp(spectrum, change_grad)
        signal_grad = grad[0] + plan.forward_adjoint(spectrum_grad - change_grad)
        return signal_grad, values_grad, weights_grad, inverse_grad, None, None


def weighted_change(target: MelTarget, spectrum: Tensor, weights: Tensor) -> Tensor:
    """Return W (g − 1) c; overwrites the spectrum."""
    gain = target.gain(target.filterbank_input(spectrum))
    return spectrum.mul_(gain.sub_(1).mul_(weights))


def weighted_projection(signal: Tensor, target: MelTarget, weights: FrameWeights) -> Tensor:
    """Return y + A⁺_W((g − 1) A y) of signals y (items, samples)."""
    values, plan = weights
    inputs = (signal, target.values, values, plan.inverse_sumsquare)
    return _WeightedProjection.apply(*inputs, target, plan)
