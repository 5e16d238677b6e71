"""A phase retrieval problem: find a signal whose spectrum has a target.

With P_A imposing the target (`Target.impose`) and P_C = STFT ∘ ISTFT projecting onto the spectra of
signals (`STFTPlan.consistent`), every method alternates between the two sets. The projection
y ↦ ISTFT(P_A(STFT(y))) stands here once, for all methods, with a gradient that stores one signal.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.precision import (
    backward_fp32,
    differentiable_vjp,
    no_second_derivative,
)
from torchmelinv._utils.tracing import apply_function
from torchmelinv.cuda import step_cuda
from torchmelinv.cuda.backend import may_use_kernels, use_kernel
from torchmelinv.cuda.layout import MelUpdate
from torchmelinv.phase.frame_weights import FrameWeights, weighted_projection
from torchmelinv.phase.impose_magnitude import impose_magnitude_plainly
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.phase.target import MagnitudeTarget, Target
from torchmelinv.transforms.stft_plan import STFTPlan


class _ConsistentProjection(torch.autograd.Function):
    """ISTFT(P_A(STFT(y))); backward computes the spectrum again from the saved signal y."""

    @staticmethod
    def forward(signal: Tensor, values: Tensor, problem: PhaseProblem) -> Tensor:
        # `values` belong to the target; they are an argument so that autograd sees them.
        plan, kernel_args = problem.plan, problem.kernel_args
        if kernel_args is not None:
            return step_cuda.step(plan.layout, kernel_args, signal.contiguous())[0]
        return plan.inverse(problem.target.impose(plan.forward(signal)))

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, PhaseProblem], output: Tensor
    ) -> None:
        signal, _, problem = inputs
        ctx.save_for_backward(signal)
        ctx.plan, ctx.target = problem.plan, problem.target
        ctx.by_kernel = problem.kernel_args is not None

    @staticmethod
    @backward_fp32
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        plan, target, (signal,) = ctx.plan, ctx.target, ctx.saved_tensors
        magnitude = isinstance(target, MagnitudeTarget)
        if torch.is_grad_enabled():  # double backward
            if not magnitude:
                raise no_second_derivative()

            def projection(signal: Tensor, values: Tensor) -> Tensor:
                return plan.inverse(impose_magnitude_plainly(plan.forward(signal), values))

            return *differentiable_vjp(projection, (signal, target.values), grad[0]), None
        if ctx.by_kernel and magnitude:
            parts = (each.contiguous() for each in (target.values, signal, grad[0]))
            return *step_cuda.project_vjp(plan.layout, *parts), None
        spectrum_grad, values_grad = target.vjp(plan.forward(signal), plan.inverse_adjoint(grad[0]))
        return plan.forward_adjoint(spectrum_grad), values_grad, None


@dataclasses.dataclass(frozen=True, eq=False)
class PhaseProblem:
    """The task: find signals (items, samples) whose spectra have the target."""

    target: Target
    plan: STFTPlan  # between signals (items, samples) and spectra (items, frames, n_freqs)
    n_channels: int = 1  # of a recording; items are (recordings · channels)
    weights: FrameWeights | None = None  # of frames in the projection onto a mel

    @functools.cached_property
    def kernel_args(self) -> Tensor | MelUpdate | None:
        """The target as the CUDA kernels take it, or None where plain torch runs.

        Computed once, for the backend requested at first access.
        """
        if self.weights is not None or not may_use_kernels():
            return None
        reason, kind = self.target.unsupported_reason(), None
        args = None if reason else self.target.cuda_args()
        if args is not None:
            layout = self.plan.layout
            reason = step_cuda.unsupported_reason(layout, args)
            kind = None if reason else step_cuda.kind(layout, args)
        return args if use_kernel("a phase iteration", lambda: reason, kind) else None

    def impose(self, spectrum: Tensor) -> Tensor:
        """Return P_A(c); may overwrite its input."""
        return self.target.impose(spectrum)

    def consistent_projection(self, signal: Tensor) -> Tensor:
        """Return ISTFT(P_A(STFT(y))) of signals y (items, samples); backward stores one signal.

        With weights, it is the projection in `frame_weights.py`.
        """
        if self.weights is not None and isinstance(self.target, MelTarget):
            return weighted_projection(signal, self.target, self.plan, self.weights)
        return apply_function(_ConsistentProjection, signal, self.target.values, self)

    def fused_step(
        self,
        signal: Tensor,
        previous: Tensor,
        alpha: float,
        beta: float,
        gamma: float,
    ) -> tuple[Tensor, Tensor] | None:
        """Run one step of accelerated Griffin-Lim as one CUDA kernel.

        Args:
            signal: t_n, the last relaxed signals (items, samples).
            previous: t_n−1.
            alpha: Extrapolation before the projections.
            beta: Extrapolation of the relaxation.
            gamma: Relaxation.

        Returns:
            x and the next t of the recursion in `accelerated_griffin_lim.py`, (items, samples)
            each, or None where plain torch runs: on other backends, and where a gradient is needed.
        """
        tensors = (signal, previous, self.target.values)
        if torch.is_grad_enabled() and any(each.requires_grad for each in tensors):
            return None
        if self.kernel_args is None:
            return None
        before = previous if alpha or beta else None
        return step_cuda.step(
            self.plan.layout, self.kernel_args, signal, before, alpha, beta, gamma
        )


def extrapolate(current: Tensor, previous: Tensor, factor: float) -> Tensor:
    """Return current + factor · (current − previous)."""
    return torch.lerp(previous, current, 1 + factor) if factor else current
