"""Newton's method on the dual of "the spectrum nearest to a prior that has this mel": the engine of two methods.

With a prior z and a distance D the problem is

    min_s  D(s, z) + Σ_k (Ms − m)_k² / (2 ρ w_k),    s ≥ 0,

whose solution is s(λ) = primal(z, u), u = Mᵀλ, for the n_mels numbers λ that make g = M s(λ) − m + ρ w λ vanish. g is the
gradient of a convex function with Hessian H = M diag(∂s/∂u) Mᵀ + ρ diag(w). For triangular filters H is tridiagonal, so a
Newton step is three banded products and one tridiagonal solve, for each frame alone; other filterbanks take a dense solve.

ρ = 1e-7 lets a mel that some spectrum has be met to better than 1e-5 in float32. A frame that is then still off by more than
1e-4 has a mel that no spectrum has (noisy, predicted, floored): it is solved with ρ = 1e-3, whose optimum is well defined and
well conditioned. Inside, frames are scaled to a peak of 1 and filters to a peak of 1. Filters that share their only bins make H
singular; in float32 the step then needs a ridge, which costs an iteration or two and does not move the solution.

The gradient is that of the solution and not of the loop. With v = H⁻¹ M (∂s/∂u · s̄):

    m̄ = v,    w̄ = −ρ λ v,    z̄ = ∂s/∂z · (s̄ − Mᵀ v).

A second derivative, where one is asked for, is autograd's through two Newton steps from the solution.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from torchmelinv.filterbank import MelFilterbank
from torchmelinv.iterate import iterate
from torchmelinv.magnitude.rounds import at_frames, in_rounds, put_frames
from torchmelinv.ops import newton_cuda, nvrtc
from torchmelinv.ops.backend import by_kernel
from torchmelinv.ops.banded import Banded
from torchmelinv.ops.items import over_items
from torchmelinv.ops.newton_cuda import HARD, HARD_RESIDUAL, N_TRIALS, SOFT, Solved
from torchmelinv.ops.precision import any_order, differentiated
from torchmelinv.ops.tridiagonal import solve_tridiagonal

HARD_ROUNDS, SOFT_ROUNDS = (6, 2, 2, 15), (8, 12, 30)  # steps; most frames stop within the first round


class Distance(NamedTuple):
    """What a distance D brings to the engine, elementwise on (…, n_freqs, n_frames)."""

    weight: Callable[[Tensor], Tensor]  # m, with filters and frame scaled to a peak of 1 -> w > 0
    primal: Callable[[Tensor, Tensor], Tensor]  # (z, u) -> s
    slope: Callable[[Tensor, Tensor], Tensor]  # (z, s) -> ∂s/∂u
    prior_slope: Callable[[Tensor, Tensor], Tensor]  # (z, s) -> ∂s/∂z
    safe_step: Callable[[Tensor], Tensor]  # largest |change of u| of a frame -> a step length that is always short enough
    kernel: str  # its name in ops/newton_cuda.py


class DualState(NamedTuple):
    multiplier: Tensor  # λ, (1, n_mels, frames)
    exponent: Tensor  # u = Mᵀλ, (1, n_freqs, frames)
    spectrum: Tensor  # s = primal(z, u), (1, n_freqs, frames)
    gradient: Tensor  # ‖g‖ / ‖m‖ before the last step, (1, 1, frames)


class DualSolution(NamedTuple):
    """A magnitude inverse with its account; each frame is solved for itself."""

    magnitude: Tensor  # (…, n_freqs, n_frames), to the convention's power
    steps: Tensor  # (…, n_frames) Newton steps until the frame stopped
    residual: Tensor  # (…, n_frames) ‖Ms − m‖ / ‖m‖, 0 for a silent frame
    converged: Tensor  # (…, n_frames)


class _Bank:
    """The tables of one filterbank with every filter scaled to a peak of 1; filters without bins have no say."""

    def __init__(self, filterbank: MelFilterbank, like: Tensor) -> None:
        peak = filterbank.table.amax(1, keepdim=True)
        matrix = torch.where(peak > 0, filterbank.table / peak, 0)
        neighbour = torch.cat([matrix[1:], torch.zeros_like(matrix[:1])])
        self.tridiagonal = filterbank.is_tridiagonal
        self.peak, self.matrix = (table.to(like.dtype).to(like.device) for table in (peak, matrix))
        self.forward, self.adjoint = Banded(self.matrix), Banded(self.matrix.T.contiguous(), 64)
        pairs = torch.stack([matrix.square(), matrix * neighbour], 1).flatten(0, 1)
        self.pairs = Banded(pairs.to(like.dtype).to(like.device), 32)

    @functools.cached_property
    def for_kernels(self) -> newton_cuda.Tables | str:
        """The tables for kernels, or why there are none; looks at the matrix on the host."""
        return newton_cuda.why_not(self.matrix) or newton_cuda.tables(self.matrix)

    def why_not(self) -> str | None:
        """What keeps the kernels from it, if anything does."""
        return nvrtc.why_not(self.matrix) or (self.for_kernels if isinstance(self.for_kernels, str) else None)

    def hessian_inverse(self, slope: Tensor, ridge: Tensor) -> Callable[[Tensor], Tensor]:
        """r ↦ (M diag(slope) Mᵀ + diag(ridge))⁻¹ r for (items, n_mels, frames), with the ridge that the dtype needs."""
        diagonal, off_diagonal = (self.pairs @ slope).unflatten(-2, (-1, 2)).unbind(-2)
        eps = torch.finfo(slope.dtype).eps
        ridge = ridge + 1e3 * eps * diagonal + eps * diagonal.amax(-2, keepdim=True)
        if self.tridiagonal:
            return functools.partial(solve_tridiagonal, diagonal + ridge, off_diagonal[..., :-1, :])
        dense = torch.einsum("kf,...ft,lf->...tkl", self.matrix, slope, self.matrix) + torch.diag_embed(ridge.mT)
        return lambda right: torch.linalg.solve(dense, right.mT[..., None])[..., 0].mT


def _norm(mel: Tensor) -> Tensor:
    return mel.square().sum(-2, keepdim=True).sqrt()


class _Problem(NamedTuple):
    bank: _Bank
    distance: Distance
    mel: Tensor  # m, (1, n_mels, frames)
    prior: Tensor  # z, (1, n_freqs, frames)
    weight: Tensor  # w, (1, n_mels, frames)
    softness: Tensor  # ρ, (1, 1, frames)

    def size(self, mel: Tensor) -> Tensor:
        """‖mel‖ / ‖m‖ with the filters' own peaks, (1, 1, frames)."""
        peak = self.bank.peak
        return _norm(peak * mel) / _norm(peak * self.mel).clamp(min=torch.finfo(mel.dtype).tiny)

    def inverse_hessian(self, spectrum: Tensor) -> Callable[[Tensor], Tensor]:
        slope = self.distance.slope(self.prior, spectrum)
        return self.bank.hessian_inverse(slope, self.softness * self.weight)


def _newton(problem: _Problem, state: DualState) -> DualState:
    """One Newton step; its length is chosen by the slope along it, which rounding spoils less than the value."""
    bank, distance, mel, prior, weight, softness = problem
    pull = softness * weight * state.multiplier - mel
    gradient = bank.forward @ state.spectrum + pull
    step = -problem.inverse_hessian(state.spectrum)(gradient)
    turn = bank.adjoint @ step
    start = (gradient * step).sum(-2, keepdim=True)  # ≤ 0
    fixed, curve = (pull * step).sum(-2, keepdim=True), (softness * weight * step * step).sum(-2, keepdim=True)
    shortest = distance.safe_step(turn.abs().amax(-2, keepdim=True))
    length = torch.ones_like(start)
    for _ in range(N_TRIALS):
        exponent = torch.addcmul(state.exponent, length, turn)
        spectrum = distance.primal(prior, exponent)
        ahead = (spectrum * turn).sum(-2, keepdim=True) + fixed + length * curve
        fits = (ahead <= -0.5 * start) | (length <= shortest)
        if fits.device.type == "cpu" and fits.all():
            break
        # The slope grows along the step. Where it got too steep, go back to the root of the chord.
        length = torch.where(fits, length, torch.maximum(length * start / (start - ahead), shortest))
    else:
        exponent = torch.addcmul(state.exponent, length, turn)
        spectrum = distance.primal(prior, exponent)
    return DualState(torch.addcmul(state.multiplier, length, step), exponent, spectrum, problem.size(gradient))


def _solve(problem: _Problem, start: DualState, n_iter: int) -> tuple[DualState, Tensor, Tensor]:
    """State, steps and convergence of each frame."""
    # Newton's last step squares the error that it finds, so an item may stop after a step that began this close.
    tolerance = 0.01 * torch.finfo(problem.mel.dtype).eps ** 0.5
    step = functools.partial(_newton, problem)
    result = iterate(step, start, n_iter, change=lambda _, new: new.gradient, tolerance=tolerance)
    return result.state, cast(Tensor, result.steps), cast(Tensor, result.converged)


def _polish(
    bank: _Bank, distance: Distance, softness: Tensor, multiplier: Tensor, mel: Tensor, prior: Tensor, weight: Tensor
) -> Tensor:
    """The spectrum after two more Newton steps from a solution: both derivatives of it are those of the solution."""
    problem = _Problem(bank, distance, mel, prior, weight, softness)
    for _ in range(2):
        spectrum = distance.primal(prior, bank.adjoint @ multiplier)
        gradient = bank.forward @ spectrum + softness * weight * multiplier - mel
        multiplier = multiplier - problem.inverse_hessian(spectrum)(gradient)
    return distance.primal(prior, bank.adjoint @ multiplier)


def _solve_in_rounds(bank: _Bank, distance: Distance, mel: Tensor, prior: Tensor, weight: Tensor) -> Solved:
    zero = torch.zeros_like(prior)
    softness = torch.full_like(mel[..., :1, :], HARD)
    problem = _Problem(bank, distance, mel, prior, weight, softness)
    start = DualState(torch.zeros_like(mel), zero, distance.primal(prior, zero), torch.zeros_like(softness))
    state, steps, converged = in_rounds(_solve, problem, start, HARD_ROUNDS)
    met = problem.size(bank.forward @ state.spectrum - mel) <= HARD_RESIDUAL
    if not met.all():
        problem = problem._replace(softness=torch.where(met, HARD, SOFT).to(mel.dtype))
        unmet = (~met).flatten().nonzero().flatten()
        again = in_rounds(_solve, at_frames(problem, unmet), at_frames(start, unmet), SOFT_ROUNDS)
        state, steps = put_frames(state, unmet, again[0]), steps.index_add(-1, unmet, again[1])
        converged = converged.index_copy(-1, unmet, again[2])
    return Solved(state.spectrum, state.multiplier, problem.softness, steps, converged | met)


class _SolveDual(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mel: Tensor, prior: Tensor, weight: Tensor, bank: _Bank, distance: Distance) -> tuple[Tensor, ...]:
        ctx.bank, ctx.distance = bank, distance
        ctx.by_kernel = by_kernel("a magnitude inverse", bank.why_not)
        if ctx.by_kernel:
            parts = (each.contiguous() for each in (mel, prior, weight))
            solved = newton_cuda.solve(cast(Any, bank.for_kernels), distance.kernel, bank.peak, *parts)
        else:
            solved = _solve_in_rounds(bank, distance, mel, prior, weight)
        ctx.save_for_backward(mel, prior, weight, *solved[:3])
        ctx.mark_non_differentiable(solved.steps, solved.converged)
        return solved.spectrum, solved.steps, solved.converged

    @staticmethod
    @any_order
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        mel, prior, weight, spectrum, multiplier, softness = ctx.saved_tensors
        bank, distance, grad = ctx.bank, ctx.distance, grads[0]
        if torch.is_grad_enabled():
            polish = functools.partial(_polish, bank, distance, softness, multiplier)
            return *differentiated(polish, (mel, prior, weight), grad), None, None
        if ctx.by_kernel:
            given = (each.contiguous() for each in (prior, weight, spectrum, multiplier, softness, grad))
            return *newton_cuda.vjp(cast(Any, bank.for_kernels), distance.kernel, *given), None, None
        problem = _Problem(bank, distance, weight, prior, weight, softness)
        back = problem.inverse_hessian(spectrum)(bank.forward @ (distance.slope(prior, spectrum) * grad))
        to_prior = distance.prior_slope(prior, spectrum) * (grad - bank.adjoint @ back)
        return back, to_prior, -softness * multiplier * back, None, None


def solve_dual(mel: Tensor, filterbank: MelFilterbank, distance: Distance, prior: Tensor) -> DualSolution:
    """Linear mel (…, n_mels, n_frames) and prior z ≥ 0 (…, n_freqs, n_frames) -> solution.

    Give the prior as a differentiable function of the mel where the gradient shall see that it is one.
    """
    items = mel.shape[:-2]
    bank = filterbank.derived("dual newton", mel, lambda: _Bank(filterbank, mel))
    heard = (mel / torch.where(bank.peak > 0, bank.peak, 1)) * (bank.peak > 0)
    peak = heard.detach().amax(-2, keepdim=True)
    scale = torch.where(peak > 0, 1 / peak.clamp(min=torch.finfo(mel.dtype).tiny), 0)
    # Scaled mels give scaled solutions, so the scale may be taken for a constant.
    parts = (heard * scale, prior * scale, distance.weight(heard * scale))

    def solve(*some: Tensor) -> tuple[Tensor, ...]:
        # Frames are alike, whichever item they belong to: (items, rows, frames) -> (1, rows, all frames) and back.
        solved = _SolveDual.apply(*(part.transpose(0, 1).flatten(1)[None] for part in some), bank, distance)
        return tuple(part[0].unflatten(-1, (len(some[0]), -1)).transpose(0, 1) for part in solved)

    solved = over_items(solve, *(part.reshape(-1, *part.shape[-2:]) for part in parts))
    magnitude = solved[0].reshape(prior.shape) * torch.where(peak > 0, peak, 0)
    with torch.no_grad():
        residual = _norm(filterbank(magnitude) - mel) / _norm(mel).clamp(min=torch.finfo(mel.dtype).tiny)
    steps, converged = (one.reshape(*items, -1) for one in solved[1:])
    return DualSolution(magnitude, steps, residual[..., 0, :], converged)
