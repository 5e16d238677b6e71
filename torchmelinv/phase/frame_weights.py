"""Weights of frames in the synthesis: quiet frames count like loud ones.

The signal nearest to a spectrum that no signal has is a compromise between overlapping frames. By
least squares an error counts by its energy, so loud frames win: before an onset or after a vowel,
quiet frames miss their mel by far. With the level E_t of a frame's mel, the weights

    W_t = 1 / (E_t / max E + 10⁻³)

let an error count nearly by its ratio to the frame. With the gains g of the mel (`mel_target.py`),
the projection becomes

    x = y + A⁺_W((g − 1) A y),    A⁺_W(c) = Σ_t w W_t irfft(c_t) / Σ_t W_t w².

A signal with its mel stays as it is. A frame may be quiet below 700 Hz and loud above 4 kHz, as in
fricatives. So there are groups of bins with weights and syntheses of their own, which overlap in
between. Two groups cost an inverse FFT more than one; four were hardly better. Backward stores the
signal y alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide, safe_pow
from torchmelinv._utils.precision import backward_fp32_once
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.transforms.overlap_add import overlap_add
from torchmelinv.transforms.stft_plan import STFTPlan, fit_length

QUIETEST = 1e-3  # of the loudest frame; 1e-4 and 1e-2 come within 0.02 PESQ
# Hz. Below the first frequency is the first group alone, above the second one the second group.
CROSSOVER = (700.0, 4000.0)
_OFFSET = 100.0  # Hz; in between, shares are linear in the logarithm of the frequency above -100 Hz


class FrameWeights(NamedTuple):
    """Weights of the frames in each group of bins, and what each synthesis divides by."""

    values: Tensor  # W, (items, frames, groups); 0 in padding frames
    inverse_sumsquare: Tensor  # 1 / (n_fft Σ_t W_t w²), (groups, items, samples)
    shares: Tensor  # of each group in each bin, (groups, n_freqs)

    def each(self, plan: STFTPlan) -> Iterator[tuple[Tensor, STFTPlan]]:
        """Yield the factor of the spectrum and the plan of the synthesis of each group."""
        parts = zip(self.values.unbind(-1), self.shares, self.inverse_sumsquare, strict=True)
        for values, share, inverse in parts:
            yield values[..., None] * share, dataclasses.replace(plan, inverse_sumsquare=inverse)


def frame_weights(target: MelTarget, plan: STFTPlan, n_groups: int = 1) -> FrameWeights:
    """Return the weights for a mel; a gradient passes to it."""
    shares = _shares(plan.convention.n_freqs, target.sample_rate, n_groups)
    counts = (target.tables.M_norm_matrix @ shares.T).to(target.values)  # bins of each band
    density = safe_pow(target.values * target.tables.per_band, 2 / target.power)
    level = safe_pow(density @ counts, 0.5)
    own = torch.ones_like(level) if plan.frame_mask is None else plan.frame_mask.expand_as(level)
    weights = own / (safe_divide(level, level.amax(1, keepdim=True)) + QUIETEST)
    plain, weighted = (_sumsquare(plan, each) for each in (own.to(level.dtype), weights))
    inverse = plan.inverse_sumsquare * safe_divide(plain, weighted)
    return FrameWeights(weights, inverse, shares.to(level))


def _shares(n_freqs: int, sample_rate: float, n_groups: int) -> Tensor:
    """Return the share of each group in each bin, (groups, n_freqs), float64."""
    if n_groups == 1:
        return torch.ones(1, n_freqs, dtype=torch.float64)
    frequency = torch.linspace(0, sample_rate / 2, n_freqs, dtype=torch.float64)
    low, high = (torch.tensor(each + _OFFSET).double().log() for each in CROSSOVER)
    upper = (((frequency + _OFFSET).log() - low) / (high - low)).clamp(0, 1)
    return torch.stack([1 - upper, upper])


def _sumsquare(plan: STFTPlan, weights: Tensor) -> Tensor:
    """Return Σ_t W_t w² of each group, (groups, items, n_samples)."""
    columns = weights.movedim(-1, 0)[..., None]
    frames = columns.expand(*columns.shape[:-1], len(plan.window))
    total = overlap_add(frames, plan.window.square(), plan.convention.hop_length)
    return fit_length(total[..., plan.convention.left_padding :], plan.n_samples)


class _WeightedProjection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        signal: Tensor,
        mel: Tensor,
        values: Tensor,
        inverse_sumsquare: Tensor,
        shares: Tensor,
        target: MelTarget,
        plan: STFTPlan,
    ) -> Tensor:
        # `mel` belongs to the target; it is an argument so that autograd sees it.
        ctx.save_for_backward(signal, values, inverse_sumsquare, shares)
        ctx.target, ctx.plan = target, plan
        change = _change(target, plan.forward(signal))
        for factor, synthesis in FrameWeights(values, inverse_sumsquare, shares).each(plan):
            signal = signal + synthesis.inverse(change * factor)
        return signal

    @staticmethod
    @backward_fp32_once
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        target, plan = ctx.target, ctx.plan
        signal, values, inverse_sumsquare, shares = ctx.saved_tensors
        spectrum = plan.forward(signal)
        change = _change(target, spectrum.clone()) if ctx.needs_input_grad[2] else None
        change_grad = torch.zeros_like(spectrum)
        weights_grad, inverse_grad = [], []
        weights = FrameWeights(values, inverse_sumsquare, shares)
        for share, (factor, synthesis) in zip(shares, weights.each(plan), strict=True):
            part_grad = synthesis.inverse_adjoint(grad[0])
            change_grad += part_grad * factor
            if change is not None:
                products = change.real * part_grad.real + change.imag * part_grad.imag
                weights_grad.append(products @ share)
                ones = torch.ones_like(synthesis.inverse_sumsquare)
                undivided = dataclasses.replace(plan, inverse_sumsquare=ones)
                inverse_grad.append(grad[0] * undivided.inverse(change * factor))
        spectrum_grad, mel_grad = target.vjp(spectrum, change_grad)
        signal_grad = grad[0] + plan.forward_adjoint(spectrum_grad - change_grad)
        if change is None:
            return signal_grad, mel_grad, *[None] * 5
        stacked = torch.stack(weights_grad, -1), torch.stack(inverse_grad)
        return signal_grad, mel_grad, *stacked, *[None] * 3


def _change(target: MelTarget, spectrum: Tensor) -> Tensor:
    """Return (g − 1) c; overwrites the spectrum."""
    return spectrum.mul_(target.gain(target.filterbank_input(spectrum)).sub_(1))


def weighted_projection(
    signal: Tensor, target: MelTarget, plan: STFTPlan, weights: FrameWeights
) -> Tensor:
    """Return y + A⁺_W((g − 1) A y) of signals y (items, samples)."""
    return _WeightedProjection.apply(signal, target.values, *weights, target, plan)
