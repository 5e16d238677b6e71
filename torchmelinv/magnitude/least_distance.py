"""The non-negative spectrum nearest to an envelope in the Euclidean sense that has the given mel.

    min_s  ½ ‖s − z‖² + ‖Ms − m‖² / (2 ρ),    s ≥ 0,

with ρ = 1e-7, or 1e-3 where no spectrum has the mel. The solution is s = max(0, z + Mᵀλ): unique, and differentiable
wherever no bin is just about to vanish. With z = 0 it is the non-negative spectrum of least energy (least distance
programming, Lawson and Hanson 1974). The dual is piecewise quadratic and Newton's method on it semismooth (Qi and Sun 1993);
undamped it cycles on some frames, with the line search of `dual_newton.py` it does not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv.filterbank import MelFilterbank
from torchmelinv.magnitude.dual_newton import Distance, DualSolution, solve_dual
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.ops.checks import as_rows
from torchmelinv.ops.precision import full_precision


def _active(prior: Tensor, spectrum: Tensor) -> Tensor:
    return (spectrum > 0).to(spectrum.dtype)


EUCLIDEAN = Distance(
    primal=lambda prior, exponent: (prior + exponent).relu_(),
    weight=torch.ones_like,
    slope=_active,
    prior_slope=_active,
    safe_step=lambda change: torch.full_like(change, 0.01),
    kernel="least_distance",
)


@full_precision
def least_distance_solve(mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None) -> DualSolution:
    """`least_distance` with its account: magnitude (…, n_freqs, n_frames); steps, residual, convergence (…, n_frames)."""
    mel = as_rows(mel, "mel", filterbank.n_mels)
    prior = transpose(mel, filterbank) if prior is None else prior
    return solve_dual(mel, filterbank, EUCLIDEAN, prior)


def least_distance(mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None) -> Tensor:
    """Linear mel (…, n_mels, n_frames) -> spectrum ≥ 0 with that mel, (…, n_freqs, n_frames), to the convention's power.

    `prior` z ≥ 0, by default `transpose(mel)`. Invariants, cost and gradient as `entropic`'s; a bin at 0 passes no gradient.
    A mel that only spectra with many empty bins have lies at an edge of what this distance can reach: on speech up to one frame
    in fifty keeps a residual of 1e-4 to 1e-2 (`least_distance_solve` reports it).
    """
    return least_distance_solve(mel, filterbank, prior).magnitude
