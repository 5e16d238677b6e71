"""Newton's method on the dual of a filterbank inverse, for `entropic` and `least_distance`.

Both inverses find the spectrum nearest to a prior z, by a distance D, that has a given mel m:

    min_s  D(s, z) + Σ_k (Ms − m)_k² / (2 ρ w_k),    s ≥ 0.

The solution is s(λ) = primal(z, u), u = Mᵀλ, for the n_mels numbers λ at which the gradient

    g = M s(λ) − m + ρ w λ

of a convex function vanishes. Its Hessian is H = M diag(∂s/∂u) Mᵀ + ρ diag(w). For triangular
filters H is tridiagonal, so a Newton step takes three banded products and one tridiagonal solve,
independently for each frame; other filterbanks take a dense solve.

With ρ = 1e-7, a mel that some spectrum has is met to better than 1e-5 in float32. If a frame is
then still off by more than 1e-4, no spectrum has its mel (noisy, predicted, floored): it is solved
again with ρ = 1e-3, whose optimum is well defined and well conditioned. Frames and filters are
scaled to a peak of 1. Filters that share their only bins make H singular; in float32 the step then
needs a ridge, which costs an iteration or two and does not move the solution. Where control flow
must not depend on values, `dual_ascent.py` solves the same problem.

The gradient is that of the solution, not of the loop. With v = H⁻¹ M (∂s/∂u · s̄):

    m̄ = v,    w̄ = −ρ λ v,    z̄ = ∂s/∂z · (s̄ − Mᵀ v).

A second derivative differentiates two Newton steps from the solution by autograd.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from torchmelinv._utils.batching import map_batch, mapped_first
from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv._utils.numerics import relative_norm
from torchmelinv._utils.precision import backward_fp32, differentiable_vjp
from torchmelinv._utils.validation import check_features
from torchmelinv.cuda import newton_cuda
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.cuda.newton_cuda import (
    HARD_RESIDUAL,
    HARD_RHO,
    N_TRIALS,
    SOFT_RHO,
    NewtonResult,
)
from torchmelinv.magnitude.distance import Distance
from torchmelinv.magnitude.dual_ascent import ascend
from torchmelinv.magnitude.scaled_filterbank import ScaledFilterbank, scaled_filterbank
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.solvers.active_set import scatter_frames, select_frames, solve_active
from torchmelinv.solvers.iterate import iterate
from torchmelinv.transforms.mel_filterbank import MelFilterbank

__all__ = ["DualSolution", "solve_dual"]

# Newton steps of each round; most frames stop within the first one.
HARD_ROUNDS = (6, 2, 2, 15)
SOFT_ROUNDS = (8, 12, 30)


class DualState(NamedTuple):
    multiplier: Tensor  # λ, (1, n_mels, frames)
    exponent: Tensor  # u = Mᵀλ, (1, n_freqs, frames)
    spectrum: Tensor  # s = primal(z, u), (1, n_freqs, frames)
    gradient: Tensor  # ‖g‖ / ‖m‖ before the last step, (1, 1, frames)


class DualSolution(NamedTuple):
    """The result of a filterbank inverse, with diagnostics of each frame.

    Args:
        spectrum: Linear spectrogram |STFT|^power (…, n_freqs, n_frames).
        n_iter: Steps until the frame stopped, (…, n_frames).
        residual: ‖Ms − m‖ / ‖m‖, 0 for a silent frame, (…, n_frames).
        converged: Whether the frame stopped by its tolerance, (…, n_frames). Where the number of
            steps is fixed (`dual_ascent.py`), whether the residual is at most 1e-3.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.entropic import entropic_solve
        >>> solution = entropic_solve(torch.rand(80, 4), tmi.MelFilterbank("hifigan_22k"))
        >>> solution.spectrum.shape, solution.residual.shape
        (torch.Size([513, 4]), torch.Size([4]))
    """

    spectrum: Tensor
    n_iter: Tensor
    residual: Tensor
    converged: Tensor


class _Problem(NamedTuple):
    filterbank: ScaledFilterbank
    distance: Distance
    mel: Tensor  # m, (1, n_mels, frames)
    prior: Tensor  # z, (1, n_freqs, frames)
    weight: Tensor  # w, (1, n_mels, frames)
    rho: Tensor  # ρ, (1, 1, frames)

    def relative_norm(self, error: Tensor) -> Tensor:
        """Return ‖error‖ / ‖m‖ with the original peaks of the filters, (1, 1, frames)."""
        peak = self.filterbank.peak
        return relative_norm(peak * error, peak * self.mel, dim=-2)

    def hessian_inverse(self, spectrum: Tensor) -> Callable[[Tensor], Tensor]:
        slope = self.distance.slope(self.prior, spectrum)
        return self.filterbank.hessian_inverse(slope, self.rho * self.weight)


def _newton_step(problem: _Problem, state: DualState) -> DualState:
    """Return the state after one Newton step.

    The slope along the step chooses its length: rounding affects it less than the value.
    """
    M, distance, mel, prior, weight, rho = problem
    linear = rho * weight * state.multiplier - mel
    gradient = M.forward @ state.spectrum + linear
    step = -problem.hessian_inverse(state.spectrum)(gradient)
    exponent_step = M.adjoint @ step
    # The slope is ⟨s, Mᵀ step⟩ plus a linear function of the step length.
    initial_slope = (gradient * step).sum(-2, keepdim=True)  # ≤ 0
    linear_slope = (linear * step).sum(-2, keepdim=True)
    curvature = (rho * weight * step * step).sum(-2, keepdim=True)
    shortest = distance.safe_step(exponent_step.abs().amax(-2, keepdim=True))
    length = torch.ones_like(initial_slope)
    for _ in range(N_TRIALS):
        exponent = torch.addcmul(state.exponent, length, exponent_step)
        spectrum = distance.primal(prior, exponent)
        slope = (spectrum * exponent_step).sum(-2, keepdim=True) + linear_slope + length * curvature
        accepted = (slope <= -0.5 * initial_slope) | (length <= shortest)
        if accepted.device.type == "cpu" and accepted.all():
            break
        # The slope grows along the step. Where it is too steep, go back to the root of the chord.
        root = length * initial_slope / (initial_slope - slope)
        length = torch.where(accepted, length, torch.maximum(root, shortest))
    else:
        exponent = torch.addcmul(state.exponent, length, exponent_step)
        spectrum = distance.primal(prior, exponent)
    multiplier = torch.addcmul(state.multiplier, length, step)
    return DualState(multiplier, exponent, spectrum, problem.relative_norm(gradient))


def _iterate(problem: _Problem, state: DualState, n_iter: int) -> tuple[DualState, Tensor, Tensor]:
    """Return state, steps and convergence of each frame."""
    # The last Newton step squares the error before it, so a frame may stop after a step that began
    # this close.
    tolerance = 0.01 * torch.finfo(problem.mel.dtype).eps ** 0.5
    step = functools.partial(_newton_step, problem)
    result = iterate(step, state, n_iter, change=lambda _, new: new.gradient, tolerance=tolerance)
    return result.state, cast(Tensor, result.n_iter), cast(Tensor, result.converged)


def _solve(
    M: ScaledFilterbank, distance: Distance, mel: Tensor, prior: Tensor, weight: Tensor
) -> NewtonResult:
    """Solve all frames, those whose mel no spectrum has with a larger ρ."""
    rho = torch.full_like(mel[..., :1, :], HARD_RHO)
    problem = _Problem(M, distance, mel, prior, weight, rho)
    zero = torch.zeros_like(prior)
    start = DualState(
        torch.zeros_like(mel), zero, distance.primal(prior, zero), torch.zeros_like(rho)
    )
    state, n_iter, converged = solve_active(_iterate, problem, start, HARD_ROUNDS)
    met = problem.relative_norm(M.forward @ state.spectrum - mel) <= HARD_RESIDUAL
    if not met.all():
        problem = problem._replace(rho=torch.where(met, HARD_RHO, SOFT_RHO).to(mel.dtype))
        unmet = (~met).flatten().nonzero().flatten()
        subproblem, substart = select_frames(problem, unmet), select_frames(start, unmet)
        substate, more, done = solve_active(_iterate, subproblem, substart, SOFT_ROUNDS)
        state = scatter_frames(state, unmet, substate)
        n_iter = n_iter.index_add(-1, unmet, more)
        converged = converged.index_copy(-1, unmet, done)
    return NewtonResult(state.spectrum, state.multiplier, problem.rho, n_iter, converged | met)


def _two_more_steps(
    M: ScaledFilterbank,
    distance: Distance,
    rho: Tensor,
    multiplier: Tensor,
    mel: Tensor,
    prior: Tensor,
    weight: Tensor,
) -> Tensor:
    """Return the spectrum after two Newton steps from a solution.

    Its first and second derivatives are those of the solution.
    """
    problem = _Problem(M, distance, mel, prior, weight, rho)
    for _ in range(2):
        spectrum = distance.primal(prior, M.adjoint @ multiplier)
        gradient = M.forward @ spectrum + rho * weight * multiplier - mel
        multiplier = multiplier - problem.hessian_inverse(spectrum)(gradient)
    return distance.primal(prior, M.adjoint @ multiplier)


def _by_kernel(M: ScaledFilterbank, distance: Distance) -> bool:
    reason = functools.partial(M.unsupported_reason, distance.name)
    return use_kernel("a filterbank inverse", reason)


class _SolveDual(torch.autograd.Function):
    @staticmethod
    def forward(
        mel: Tensor, prior: Tensor, weight: Tensor, M: ScaledFilterbank, distance: Distance
    ) -> tuple[Tensor, ...]:
        if _by_kernel(M, distance):
            inputs = (each.contiguous() for each in (mel, prior, weight))
            result = newton_cuda.solve(M.kernel_tables, distance.name, M.peak, *inputs)
        elif may_depend_on_values(mel):
            result = _solve(M, distance, mel, prior, weight)
        else:
            result = ascend(M, distance, mel, prior, weight)
        return result.spectrum, result.n_iter, result.converged, result.multiplier, result.rho

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        *tensors, ctx.M, ctx.distance = inputs
        spectrum, *others = output
        ctx.by_kernel = _by_kernel(ctx.M, ctx.distance)
        ctx.save_for_backward(*tensors, spectrum, *others[-2:])
        ctx.mark_non_differentiable(*others)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        # Frames are independent: those of all mapped items are solved together.
        size = info.batch_size
        frames = (each.movedim(0, -2) for each in mapped_first(size, in_dims[:3], inputs[:3]))
        results = _SolveDual.apply(*(each.flatten(-2) for each in frames), *inputs[3:])
        parts = tuple(each.unflatten(-1, (size, -1)).movedim(-2, 0) for each in results)
        return parts, (0,) * len(parts)

    @staticmethod
    @backward_fp32
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        mel, prior, weight, spectrum, multiplier, rho = ctx.saved_tensors
        M, distance, grad = ctx.M, ctx.distance, grads[0]
        if torch.is_grad_enabled():  # double backward
            function = functools.partial(_two_more_steps, M, distance, rho, multiplier)
            return *differentiable_vjp(function, (mel, prior, weight), grad), None, None
        if ctx.by_kernel:
            tensors = (prior, weight, spectrum, multiplier, rho, grad)
            inputs = (each.contiguous() for each in tensors)
            return *newton_cuda.vjp(M.kernel_tables, distance.name, *inputs), None, None
        problem = _Problem(M, distance, mel, prior, weight, rho)
        right = M.forward @ (distance.slope(prior, spectrum) * grad)
        v = problem.hessian_inverse(spectrum)(right)
        prior_grad = distance.prior_slope(prior, spectrum) * (grad - M.adjoint @ v)
        return v, prior_grad, -rho * multiplier * v, None, None


def nearest_spectrum(
    linear_mel: Tensor, filterbank: MelFilterbank, distance: Distance, prior: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `solve_dual` returns, without the residual."""
    linear_mel = check_features(linear_mel, "mel", filterbank.n_mels)
    prior = transpose(linear_mel, filterbank) if prior is None else prior
    items, tiny = linear_mel.shape[:-2], torch.finfo(linear_mel.dtype).tiny
    M = scaled_filterbank(filterbank.matrix, linear_mel)
    mel = linear_mel * M.inverse_peak
    peak = mel.detach().amax(-2, keepdim=True)
    # A scaled mel has the scaled solution, so no gradient needs to pass through the scale.
    # Clamped, because the inverse of a subnormal peak overflows.
    scale = (peak > 0) / peak.clamp(min=tiny)
    tensors = (mel * scale, prior * scale, distance.weight(mel * scale))

    def solve(*inputs: Tensor) -> tuple[Tensor, ...]:
        # Frames are independent of their items: (items, rows, frames) -> (1, rows, all frames).
        frames = (each.transpose(0, 1).flatten(1)[None] for each in inputs)
        results = _SolveDual.apply(*frames, M, distance)[:3]
        n_items = inputs[0].shape[0]
        return tuple(each[0].unflatten(-1, (n_items, -1)).transpose(0, 1) for each in results)

    results = map_batch(solve, *(each.reshape(-1, *each.shape[-2:]) for each in tensors))
    spectrum = results[0].reshape(prior.shape) * peak.clamp(min=0)
    n_iter, converged = (each.reshape(*items, -1) for each in results[1:])
    return spectrum, n_iter, converged


def solve_dual(
    linear_mel: Tensor, filterbank: MelFilterbank, distance: Distance, prior: Tensor | None = None
) -> DualSolution:
    """Find the spectrum with the mel that is nearest to a prior.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames), at least 0.
        filterbank: The mel filterbank.
        distance: The distance from the prior.
        prior: Prior z (…, n_freqs, n_frames), at least 0. If it is a differentiable function of the
            mel, the gradient includes it. Default: the `transpose` of the mel.

    Returns:
        The spectrum with the steps, the residual and the convergence of each frame.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - prior: (…, n_freqs, n_frames)
        - output: (…, n_freqs, n_frames), and (…, n_frames) for each diagnostic

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.dual_newton import solve_dual
        >>> from torchmelinv.magnitude.least_distance import EUCLIDEAN
        >>> filterbank, zero = tmi.MelFilterbank("hifigan_22k"), torch.zeros(513, 4)
        >>> solve_dual(filterbank(torch.rand(513, 4)), filterbank, EUCLIDEAN, zero).spectrum.shape
        torch.Size([513, 4])
    """
    spectrum, n_iter, converged = nearest_spectrum(linear_mel, filterbank, distance, prior)
    linear_mel = linear_mel.to(spectrum.dtype)  # a half precision
    with torch.no_grad():
        residual = relative_norm(filterbank(spectrum) - linear_mel, linear_mel, dim=-2)[..., 0, :]
    return DualSolution(spectrum, n_iter, residual, converged)
