"""Non-negative least squares by projected gradient with momentum: min ½ ‖M s − m‖², s ≥ 0.

FISTA (Beck and Teboulle 2009) with the gradient restart of O'Donoghue and Candès (2015),
independently for each frame:

    s⁺ = max(0, y − Mᵀ(M y − m) / L),   L = σ_max(M)²,
    t⁺ = (1 + √(1 + 4 t²)) / 2,   y⁺ = s⁺ + ((t − 1) / t⁺) (s⁺ − s),
    and t⁺ = 1, y⁺ = s⁺ where ⟨y − s⁺, s⁺ − s⟩ > 0.

Iterations start from the clipped pseudo-inverse, to find one of the small spectra among the many
with the same residual. A frame stops at the optimality conditions: the gradient is 0 where s > 0
and not negative elsewhere, to a small part of σ_max times the residual; or when the residual itself
is down to rounding.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torch.linalg import vector_norm

from torchmelinv._utils.batching import map_batch
from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import refuse_transforms
from torchmelinv._utils.validation import check_features
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.solvers.active_set import scatter_frames, select_frames, solve_active
from torchmelinv.solvers.iterate import iterate
from torchmelinv.transforms.mel_filterbank import LinearMap

__all__ = ["nnls"]

N_ITER = 5000
ROUND = 250  # iterations between two selections of the frames that still move, on the CPU
# Elsewhere each selection is a wait: rounds double, and nothing is read within them.
FIRST_ROUND = 64
# The few frames that remain after so many iterations are at the edge of the mels that any spectrum
# has; they are iterated in float64.
SINGLE_ITER = 1000
# Of σ_max ‖r‖. For the condition numbers of mel filterbanks, the residual is then within 1e-6 of
# the least one.
_KKT_TOLERANCE = 1e-5
_RESIDUAL_TOLERANCE = 4  # ‖r‖ / ‖m‖ in units of the precision of the dtype


class NnlsProblem(NamedTuple):
    filterbank: LinearMap
    mel: Tensor  # m, (1, n_mels, frames)


class NnlsState(NamedTuple):
    spectrum: Tensor  # s, (1, n_freqs, frames)
    extrapolated: Tensor  # y, (1, n_freqs, frames)
    momentum: Tensor  # t, (1, 1, frames)
    excess: Tensor  # distance from the stopping rule; below 1 the frame stops, (1, 1, frames)


def _excess(problem: NnlsProblem, y: Tensor, residual: Tensor, gradient: Tensor) -> Tensor:
    """Return the distance of y from the stopping rule, in units of its tolerance."""
    mel, tiny = problem.mel, torch.finfo(residual.dtype).tiny
    violation = torch.where(y > 0, gradient, gradient.clamp(max=0))
    violation, size, mel_norm = (
        vector_norm(each.detach(), dim=-2, keepdim=True) for each in (violation, residual, mel)
    )
    sigma = problem.filterbank.largest_singular_value
    kkt = violation / (_KKT_TOLERANCE * sigma * size).clamp(min=tiny)
    rounding = _RESIDUAL_TOLERANCE * torch.finfo(mel.dtype).eps * mel_norm
    return torch.minimum(kkt, size / rounding.clamp(min=tiny))


def _step(problem: NnlsProblem, state: NnlsState) -> NnlsState:
    M, m = problem
    y = state.extrapolated
    residual = M(y) - m
    gradient = M.adjoint(residual)
    spectrum = (y - gradient / M.largest_singular_value**2).relu()
    change = spectrum - state.spectrum
    restart = ((y - spectrum) * change).sum(-2, keepdim=True) > 0
    momentum = torch.where(restart, 1, (1 + (1 + 4 * state.momentum.square()).sqrt()) / 2)
    factor = torch.where(restart, 0, (state.momentum - 1) / momentum)
    excess = _excess(problem, y, residual, gradient)
    return NnlsState(spectrum, spectrum + factor * change, momentum, excess)


def _solve(problem: NnlsProblem, state: NnlsState, n_iter: int) -> tuple[NnlsState, Tensor, Tensor]:
    """Return state, iterations and convergence of each frame."""
    step = functools.partial(_step, problem)
    result = iterate(
        step, state, n_iter, change=lambda _, new: new.excess, tolerance=1.0, sync=False
    )
    return result.state, cast(Tensor, result.n_iter), cast(Tensor, result.converged)


def _rounds(first: int, last: int, mel: Tensor) -> list[int]:
    """Return the iterations from `first` to `last`, cut into rounds."""
    if may_depend_on_values(mel):
        return [min(ROUND, last - done) for done in range(first, last, ROUND)]
    rounds: list[int] = []
    while first < last:
        # The last round takes in a rest that is shorter than it.
        n, rest = max(FIRST_ROUND, first), last - first
        rounds.append(n if rest >= 2 * n else rest)
        first += rounds[-1]
    return rounds


def _solve_frames(mel: Tensor, filterbank: LinearMap, n_iter: int) -> Tensor:
    """Solve frames (1, n_mels, frames) together; return (1, n_freqs, frames)."""
    peak = mel.detach().abs().amax(-2, keepdim=True)
    problem = NnlsProblem(filterbank, safe_divide(mel, peak))
    start = pinv(problem.mel, filterbank)
    state = NnlsState(start, start, torch.ones_like(peak), torch.zeros_like(peak))
    rounds = _rounds(0, min(n_iter, SINGLE_ITER), mel)
    state, _, converged = solve_active(_solve, problem, state, rounds)
    remaining = (~converged).flatten().nonzero().flatten()
    # MPS has no float64.
    if len(remaining) and n_iter > SINGLE_ITER and mel.device.type != "mps":
        problem, double = select_frames(problem, remaining), select_frames(state, remaining)
        problem = problem._replace(mel=problem.mel.double())
        double = NnlsState(*(part.double() for part in double))
        double = solve_active(_solve, problem, double, _rounds(SINGLE_ITER, n_iter, mel))[0]
        state = scatter_frames(state, remaining, double)
    return state.spectrum * peak


@full_precision
def nnls(linear_mel: Tensor, filterbank: LinearMap, n_iter: int = N_ITER) -> Tensor:
    """Find a non-negative spectrum of least squared mel error.

    The relative residual is that of an active-set solver to about 1e-6. Scaling the mel scales the
    result, and frames and items are independent. Each iteration takes two banded products: this is
    the slowest of the filterbank inverses, and by residual alone no better than `entropic`.
    Gradients pass through every iteration. With a `LinearMap` of any signs it solves any
    non-negative least-squares problem.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames).
        filterbank: The mel filterbank, or any other linear map.
        n_iter: Largest number of iterations.

    Returns:
        Linear spectrogram |STFT|^power (…, n_freqs, n_frames), at least 0.

    Raises:
        InputError: If the mel has another shape or dtype.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - output: (…, n_freqs, n_frames)

    References:
        A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear
        inverse problems", SIAM J. Imaging Sciences 2(1), 2009.

        B. O'Donoghue and E. Candès, "Adaptive restart for accelerated gradient schemes",
        Foundations of Computational Mathematics 15, 2015.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.nnls import nnls
        >>> filterbank = tmi.MelFilterbank("hifigan_22k")
        >>> nnls(torch.rand(80, 4), filterbank, n_iter=20).shape
        torch.Size([513, 4])
    """
    refuse_transforms("nnls", "use another filterbank inverse, or batches and torch.autograd")
    linear_mel = check_features(linear_mel, "mel", filterbank.n_mels)

    def solve(items: Tensor) -> tuple[Tensor]:
        # Frames are independent of their items: (items, rows, frames) -> (1, rows, all frames).
        spectrum = _solve_frames(items.transpose(0, 1).flatten(1)[None], filterbank, n_iter)
        return (spectrum[0].unflatten(-1, (len(items), -1)).transpose(0, 1),)

    (spectrum,) = map_batch(solve, linear_mel.reshape(-1, *linear_mel.shape[-2:]))
    shape = (*linear_mel.shape[:-2], filterbank.n_freqs, linear_mel.shape[-1])
    return spectrum.reshape(shape)
