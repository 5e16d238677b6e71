"""A filterbank inverse in a fixed number of cheap steps, for devices and compiled graphs.

Newton's method (`dual_newton.py`) decides by values how many steps a frame gets and how long they
are, and one of its steps takes more than a hundred launches. Here the dual of the same problem is
solved by `N_STEPS` accelerated ascent steps, all alike:

    μ = λ_n + β_n (λ_n − λ_n−1),    λ_n+1 = μ + Δ(M s(μ)),    β_n = n / (n + 3),

Nesterov's momentum around a step Δ that never descends. For the Kullback-Leibler distance

    Δ_k = d_k log(m_k / (Ms)_k),    Σ_k d_k M_kf ≤ 1 for all bins f,

the simultaneous multiplicative algebraic reconstruction of Darroch and Ratcliff (1972); for the
Euclidean one Δ = (M Mᵀ)⁻¹ (m − Ms). A frame whose last step opposes its momentum drops it in the
next step (O'Donoghue and Candès 2015), decided every second step by a mask.

On speech the mel is met to 2e-5 of its norm in the median frame and to 5e-3 in the worst hundredth;
the distance between the results of both solvers is about twice as large. A mel that no spectrum has
is approached as far as the steps reach: stopping early regularizes, as ρ does in Newton's method.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from torchmelinv.cuda.newton_cuda import HARD_RHO, SOFT_RHO, NewtonResult
from torchmelinv.magnitude.distance import Distance
from torchmelinv.magnitude.scaled_filterbank import ScaledFilterbank

N_STEPS = 16
RESTART_EVERY = 2  # steps
MET = 1e-3  # ‖Ms − m‖ / ‖m‖ up to which some spectrum is taken to have the mel


def ascend(
    M: ScaledFilterbank,
    distance: Distance,
    mel: Tensor,
    prior: Tensor,
    weight: Tensor,
    n_steps: int = N_STEPS,
) -> NewtonResult:
    """Solve all frames.

    Args:
        M: The filterbank.
        distance: The distance from the prior.
        mel: Mel m (1, n_mels, frames), filters and frames scaled to a peak of 1.
        prior: Prior z (1, n_freqs, frames).
        weight: Weights w (1, n_mels, frames).
        n_steps: Number of steps.

    Returns:
        The solution, with the ρ at which its derivative is well conditioned.
    """
    step = distance.ascent(M, mel, weight)
    multiplier = previous = torch.zeros_like(mel)
    for n in range(n_steps):
        extrapolated = torch.lerp(previous, multiplier, 1 + n / (n + 3))
        linear_mel = M.forward @ distance.primal(prior, M.adjoint @ extrapolated)
        previous, multiplier = multiplier, step(extrapolated, linear_mel)
        if n % RESTART_EVERY == RESTART_EVERY - 1:
            progress = (multiplier - extrapolated) * (multiplier - previous)
            opposed = progress.sum(-2, keepdim=True) < 0
            previous = torch.where(opposed, multiplier, previous)
    spectrum = distance.primal(prior, M.adjoint @ multiplier)
    norm = functools.partial(torch.linalg.vector_norm, dim=-2, keepdim=True)
    error = M.peak * (M.forward @ spectrum - mel)
    met = norm(error) <= MET * norm(M.peak * mel)
    rho = torch.where(met, HARD_RHO, SOFT_RHO).to(mel.dtype)
    n_iter = torch.full_like(met, n_steps, dtype=torch.long)
    return NewtonResult(spectrum, multiplier, rho, n_iter, met)
