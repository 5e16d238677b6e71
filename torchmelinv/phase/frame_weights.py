"""Weights of frames in the synthesis: quiet frames count like loud ones.

The signal nearest to a spectrum that no signal has is a compromise between overlapping frames. By
least squares an error counts by its energy, so loud frames win: before an onset or after a vowel,
quiet frames miss their mel by far. With the level E_t of a frame's mel, the weights

    W_t = 1 / (E_t / max E + 10⁻³)

let an error count nearly by its ratio to the frame. With the gains g of the mel (`mel_target.py`),
the projection becomes

    x = y + A⁺_W((g − 1) A y),    A⁺_W(c) = Σ_t w W_t irfft(c_t) / Σ_t W_t w².

A signal with its mel stays as it is. The cost is within 5 % of that without weights, and backward
stores the signal y alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide, safe_pow
from torchmelinv._utils.precision import backward_fp32_once
from torchmelinv._utils.tracing import apply_function
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.transforms.overlap_add import overlap_add
from torchmelinv.transforms.stft_plan import STFTPlan, fit_length

QUIETEST = 1e-3  # of the loudest frame; 1e-4 and 1e-2 come within 0.02 PESQ


class FrameWeights(NamedTuple):
    """Weights of frames, and what the synthesis with them changes in that without."""

    values: Tensor  # W, (items, frames, 1); 0 in padding frames
    share: Tensor  # Σ_t w² / Σ_t W_t w², (items, samples)


def frame_weights(target: MelTarget, plan: STFTPlan) -> FrameWeights:
    """Return the weights for a mel; a gradient passes to it."""
    tables = target.tables
    n_bins = tables.M_norm_matrix.sum(1).to(target.values)  # that belong to each band
    density = safe_pow(target.values * tables.per_band, 2 / target.power)
    level = safe_pow((density @ n_bins)[..., None], 0.5)
    own = torch.ones_like(level) if plan.frame_mask is None else plan.frame_mask.to(level)
    weights = own / (safe_divide(level, level.amax(1, keepdim=True)) + QUIETEST)
    share = safe_divide(_sumsquare(plan, own), _sumsquare(plan, weights))
    return FrameWeights(weights, share)


def _sumsquare(plan: STFTPlan, weights: Tensor) -> Tensor:
    """Return Σ_t W_t w², (items, n_samples)."""
    frames = weights.expand(*weights.shape[:2], len(plan.window))
    total = overlap_add(frames, plan.window.square(), plan.convention.hop_length)
    return fit_length(total[..., plan.convention.left_padding :], plan.n_samples)


def weighted_change(target: MelTarget, spectrum: Tensor, weights: Tensor) -> Tensor:
    """Return W (g − 1) c; overwrites the spectrum."""
    gain = target.gain(target.filterbank_input(spectrum))
    return spectrum.mul_(gain.sub_(1).mul_(weights))


class _WeightedProjection(torch.autograd.Function):
    @staticmethod
    def forward(
        signal: Tensor,
        mel: Tensor,
        values: Tensor,
        share: Tensor,
        target: MelTarget,
        plan: STFTPlan,
    ) -> Tensor:
        # `mel` belongs to the target; it is an argument so that autograd sees it.
        change = weighted_change(target, plan.forward(signal), values)
        return torch.addcmul(signal, plan.inverse(change), share)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        signal, _, values, share, ctx.target, ctx.plan = inputs
        ctx.save_for_backward(signal, values, share)

    @staticmethod
    @backward_fp32_once
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        target, plan, (signal, values, share) = ctx.target, ctx.plan, ctx.saved_tensors
        spectrum, change_grad = plan.forward(signal), plan.inverse_adjoint(grad[0] * share)
        values_grad = share_grad = None
        if ctx.needs_input_grad[2]:
            change = weighted_change(target, spectrum.clone(), torch.ones_like(values))
            products = change.real * change_grad.real + change.imag * change_grad.imag
            values_grad = products.sum(-1, keepdim=True)
            share_grad = grad[0] * plan.inverse(change.mul_(values))
        change_grad = change_grad * values
        spectrum_grad, mel_grad = target.vjp(spectrum, change_grad)
        signal_grad = grad[0] + plan.forward_adjoint(spectrum_grad - change_grad)
        return signal_grad, mel_grad, values_grad, share_grad, None, None


def weighted_projection(
    signal: Tensor, target: MelTarget, plan: STFTPlan, weights: FrameWeights
) -> Tensor:
    """Return y + A⁺_W((g − 1) A y) of signals y (items, samples)."""
    return apply_function(_WeightedProjection, signal, target.values, *weights, target, plan)
