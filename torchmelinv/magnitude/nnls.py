"""Non-negative least squares by projected gradient with momentum: min ½ ‖M s − m‖², s ≥ 0.

FISTA (Beck and Teboulle 2009) with the gradient restart of O'Donoghue and Candès (2015), for each frame alone:

    s⁺ = max(0, y − Mᵀ(M y − m) / L),   L = σ_max(M)²,
    t⁺ = (1 + √(1 + 4 t²)) / 2,   y⁺ = s⁺ + ((t − 1) / t⁺) (s⁺ − s),   and t⁺ = 1, y⁺ = s⁺ where ⟨y − s⁺, s⁺ − s⟩ > 0.

From the clipped pseudo-inverse, so that of the many spectra with the same residual one near the smallest is found. A frame
stops by the optimality conditions, where s > 0 the gradient is 0 and elsewhere it is not negative, to a small part of σ_max
times the residual; or when the residual itself has sunk to rounding.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

import torch
from torch import Tensor

from torchmelinv.filterbank import LinearMap
from torchmelinv.iterate import iterate
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.magnitude.rounds import at_frames, in_rounds, put_frames
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.items import over_items
from torchmelinv.ops.precision import full_precision

N_ITER = 5000
ROUND = 250  # iterations after which the frames that have stopped are put aside
SINGLE_ITER = 1000  # from here on the few frames left, at the edge of what any spectrum has, are iterated in float64
_KKT_TOLERANCE = 1e-5  # of σ_max ‖r‖: the residual is then within 1e-6 of the least for the conditions of mel filterbanks
_RESIDUAL_TOLERANCE = 4  # ‖r‖ / ‖m‖ in units of the dtype's precision


class NnlsProblem(NamedTuple):
    filterbank: LinearMap
    mel: Tensor  # m, (1, n_mels, frames)


class NnlsState(NamedTuple):
    spectrum: Tensor  # s, (1, n_freqs, frames)
    ahead: Tensor  # y, the extrapolated s
    momentum: Tensor  # t, (1, 1, frames)
    excess: Tensor  # how far y is from stopping: below 1 it may, (1, 1, frames)


def _norm(tensor: Tensor) -> Tensor:
    return tensor.detach().square().sum(-2, keepdim=True).sqrt()


def _step(problem: NnlsProblem, state: NnlsState) -> NnlsState:
    filterbank, mel = problem
    lipschitz = filterbank.largest_singular_value**2
    residual = filterbank(state.ahead) - mel
    gradient = filterbank.adjoint(residual)
    spectrum = (state.ahead - gradient / lipschitz).relu()
    moved = spectrum - state.spectrum
    restart = ((state.ahead - spectrum) * moved).sum(-2, keepdim=True) > 0
    momentum = torch.where(restart, 1, (1 + (1 + 4 * state.momentum.square()).sqrt()) / 2)
    ahead = spectrum + torch.where(restart, 0, (state.momentum - 1) / momentum) * moved
    size, tiny = _norm(residual), torch.finfo(mel.dtype).tiny
    forbidden = _norm(torch.where(state.ahead > 0, gradient, gradient.clamp(max=0)))
    unsettled = forbidden / (_KKT_TOLERANCE * lipschitz**0.5 * size).clamp(min=tiny)
    unmet = size / (_RESIDUAL_TOLERANCE * torch.finfo(mel.dtype).eps * _norm(mel)).clamp(min=tiny)
    return NnlsState(spectrum, ahead, momentum, torch.minimum(unsettled, unmet))


def _solve(problem: NnlsProblem, state: NnlsState, n_iter: int) -> tuple[NnlsState, Tensor, Tensor]:
    """State, steps and convergence of each frame."""
    step = functools.partial(_step, problem)
    result = iterate(step, state, n_iter, change=lambda _, new: new.excess, tolerance=1.0)
    return result.state, cast(Tensor, result.steps), cast(Tensor, result.converged)


def _rounds(first: int, last: int) -> list[int]:
    """Iterations from `first` to `last`, cut into rounds."""
    return [min(ROUND, last - done) for done in range(first, last, ROUND)]


@full_precision
def nnls(mel: Tensor, filterbank: LinearMap, n_iter: int = N_ITER) -> Tensor:
    """Linear mel (…, n_mels, n_frames) -> spectrum ≥ 0 of least squared mel error, (…, n_freqs, n_frames).

    To the convention's power; with a `LinearMap` of any signs, a least-squares problem of any kind. Invariants: nnls(c m) =
    c nnls(m), frames and items do not see each other; the relative residual is that of an active-set solver to about 1e-6. Up
    to `n_iter` iterations of two banded products each: the slowest of the magnitude methods, and by residual alone no better
    than `entropic`. Gradients pass through every iteration.
    """
    mel = as_rows(mel, "mel", filterbank.n_mels)

    def solve(items: Tensor) -> tuple[Tensor]:
        mel = items.transpose(0, 1).flatten(1)[None]  # frames are alike: (1, n_mels, all frames)
        peak = mel.detach().abs().amax(-2, keepdim=True)
        mel = torch.where(peak > 0, mel / torch.where(peak > 0, peak, 1), 0)
        start = pinv(mel, filterbank)
        problem = NnlsProblem(filterbank, mel)
        state = NnlsState(start, start, torch.ones_like(peak), torch.zeros_like(peak))
        state, _, converged = in_rounds(_solve, problem, state, _rounds(0, min(n_iter, SINGLE_ITER)))
        hard = (~converged).flatten().nonzero().flatten()
        if len(hard) and n_iter > SINGLE_ITER and mel.device.type != "mps":  # which has no float64
            problem, rest = at_frames(problem, hard), at_frames(state, hard)
            problem, rest = problem._replace(mel=problem.mel.double()), NnlsState(*(part.double() for part in rest))
            state = put_frames(state, hard, in_rounds(_solve, problem, rest, _rounds(SINGLE_ITER, n_iter))[0])
        return ((state.spectrum * peak)[0].unflatten(-1, (len(items), -1)).transpose(0, 1),)

    return over_items(solve, mel.reshape(-1, *mel.shape[-2:]))[0].reshape(*mel.shape[:-2], filterbank.n_freqs, mel.shape[-1])
