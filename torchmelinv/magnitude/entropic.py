"""The spectrum nearest to an envelope in the sense of relative entropy that has the given mel: the default.

    min_s  KL(s ‖ z) + Σ_k (Ms − m)_k² / (2 ρ w_k),    KL(s ‖ z) = Σ_f s log(s / z) − s + z,

with ρ = 1e-7, or 1e-3 where no spectrum has the mel. The solution is s = z exp(Mᵀλ): the envelope z times a smooth
positive correction, unique, positive wherever z is, and differentiable everywhere. w_k is the loudest of band k and its
neighbours: a band that is quieter than its neighbours' leakage allows then gives way to them, instead of silencing them.

The damped Newton step log(1 + β) / β, with β the largest change of the exponent, always descends, because the dual is
generalised self-concordant (Sun and Tran-Dinh 2019, ν = 2); `dual_newton.py` takes longer ones where it can.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.filterbank import MelFilterbank
from torchmelinv.magnitude.dual_newton import Distance, DualSolution, solve_dual
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.precision import full_precision

_LARGEST_EXPONENT = 80.0  # exp(80) is finite in float32
_LEAST_WEIGHT = 1e-7  # of the frame's peak


def _ratio(prior: Tensor, spectrum: Tensor) -> Tensor:
    return torch.where(prior > 0, spectrum / torch.where(prior > 0, prior, 1), 0)


def _loudest_beside(mel: Tensor) -> Tensor:
    beside = pad(mel, (0, 0, 1, 1))
    loudest = torch.maximum(mel, torch.maximum(beside[..., 2:, :], beside[..., :-2, :]))
    return loudest.clamp(min=_LEAST_WEIGHT)


KULLBACK_LEIBLER = Distance(
    primal=lambda prior, exponent: exponent.clamp(max=_LARGEST_EXPONENT).exp_() * prior,
    weight=_loudest_beside,
    slope=lambda prior, spectrum: spectrum,
    prior_slope=_ratio,
    safe_step=lambda change: torch.where(change > 0, change.log1p() / change, 1),
    kernel="entropic",
)


@full_precision
def entropic_solve(mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None) -> DualSolution:
    """`entropic` with its account: magnitude (…, n_freqs, n_frames); steps, residual, convergence (…, n_frames)."""
    mel = as_rows(mel, "mel", filterbank.n_mels)
    prior = transpose(mel, filterbank) if prior is None else prior
    return solve_dual(mel, filterbank, KULLBACK_LEIBLER, prior)


def entropic(mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None) -> Tensor:
    """Linear mel (…, n_mels, n_frames) -> spectrum ≥ 0 with that mel, (…, n_freqs, n_frames), to the convention's power.

    A mel that some spectrum has is met to 1e-5 of its norm in float32, frame by frame; for one that none has this is the
    regularised optimum above (`entropic_solve` reports the residual). `prior` z ≥ 0, by default `transpose(mel)`; bins where
    it is 0 stay 0. Invariants: entropic(c m) = c entropic(m), frames and items do not see each other. About ten Newton steps,
    each linear in n_freqs. The gradient is implicit and costs one more step.
    """
    return entropic_solve(mel, filterbank, prior).magnitude
