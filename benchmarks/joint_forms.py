"""Joint inversion in two published forms, for comparison with `mel_consistent`.

Masuyama, Ueno and Ono posed both (WASPAA 2023, arXiv 2307.12232; arXiv 2501.05557). They are
written here from the ideas of the papers, in a few lines each and for magnitude mels (power 1)
only. Details, constants and initial values of the papers may differ, so the scores of these forms
are not those of the papers.

With the spectrum X of a signal, a magnitude A ≥ 0, the mel m and the filterbank M, and λ in units
of 1 / σ² for the largest singular value σ of M:

`InertialPALM`: inertial proximal alternating linearized minimization of
½ ‖|X| − A‖² + λ/2 ‖M A − m‖²,

    Y = X_n + α (X_n − X_n−1),    X_n+1 = P_C(A_n · Y / |Y|),
    B = A_n + β (A_n − A_n−1),    A_n+1 = max(0, B − τ ((B − |X_n+1|) + λ Mᵀ(M B − m))),

with τ = 1 / (1 + λ σ²).

`ProximalADMM`: ADMM in which the proximal step of λ/2 ‖M A − m‖² at A = |c| takes the place of the
imposed magnitude; angles are kept:

    A = max(0, |c| + λ Mᵀ (I + λ M Mᵀ)⁻¹ (m − M |c|)).

The defaults were chosen on three clips of speech (hifigan_22k, 32 and 100 iterations, from pghi and
from random phases). Tried: λ of 0.1, 1, 3, 10, 30, 100, 1000 with (α, β) of (0.99, 0.99),
(0.99, 0.9), (0.99, 0.5), (0.99, 0), (0.5, 0.5), (0, 0.99), (1.1, 0.99) and (0.99, 1.1); for ADMM,
λ of 1, 10, 30, 100, 300, 1000, 10000 with ρ of 0.05, 0.1, 0.2 and 1.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import relative_norm
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.impose_magnitude import impose_magnitude
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.phase.target import MelData
from torchmelinv.phases import ADMM, PhaseMethod
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT


class MelDistance(NamedTuple):
    """The target λ/2 ‖M |c| − m‖², with M and m divided by σ."""

    values: Tensor  # m, (items, frames, n_mels)
    M_T: Tensor  # Mᵀ, (n_freqs, n_mels): rows are multiplied from the right
    proximal: Tensor  # λ (I + λ M Mᵀ)⁻¹ M, (n_mels, n_freqs)
    weight: float  # λ

    def impose(self, spectrum: Tensor) -> Tensor:
        magnitude = spectrum.abs()
        error = self.values - magnitude @ self.M_T
        return impose_magnitude(spectrum, (magnitude + error @ self.proximal).relu_())

    def distance(self, spectrum: Tensor) -> Tensor:
        return relative_norm(spectrum.abs() @ self.M_T - self.values, self.values)

    def slope(self, magnitude: Tensor) -> Tensor:
        """Return λ Mᵀ(M A − m)."""
        return self.weight * (magnitude @ self.M_T - self.values) @ self.M_T.mT


def mel_distance(mel: Tensor, filterbank: MelFilterbank, weight: float) -> MelDistance:
    """Return the distance from a linear mel (items, frames, n_mels)."""
    sigma = torch.linalg.matrix_norm(filterbank.table, 2)
    M = filterbank.table / sigma
    identity = torch.eye(len(M), dtype=M.dtype)
    proximal = weight * torch.linalg.inv(identity + weight * M @ M.mT) @ M
    return MelDistance(
        mel / sigma.to(mel.dtype), M.mT.to(mel.dtype), proximal.to(mel.dtype), weight
    )


def _target(mel: MelData | None, weight: float) -> MelDistance:
    if mel is None or mel.convention.power != 1:
        raise InputError("the published joint forms need a magnitude mel (power 1)")
    return mel_distance(mel.values, mel.filterbank, weight)


class PALMState(NamedTuple):
    spectrum: Tensor  # X_n, complex (items, frames, n_freqs)
    spectrum_previous: Tensor  # X_n−1
    magnitude: Tensor  # A_n
    magnitude_previous: Tensor  # A_n−1


@dataclasses.dataclass(frozen=True)
class InertialPALM(PhaseMethod):
    """Inertial PALM with extrapolation α of the spectrum, β of the magnitude, and the weight λ."""

    alpha: float = 0.99
    beta: float = 0.99
    weight: float = 10.0

    def make_target(self, magnitude: Tensor, mel: MelData | None) -> MelDistance:
        return _target(mel, self.weight)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> PALMState:
        magnitude = spectrum.abs()
        X = problem.plan.consistent(spectrum)
        return PALMState(X, X, magnitude, magnitude)

    def step(self, problem: PhaseProblem, state: PALMState) -> PALMState:
        target = problem.target
        Y = torch.lerp(state.spectrum_previous, state.spectrum, 1 + self.alpha)
        X = problem.plan.consistent(impose_magnitude(Y, state.magnitude))
        B = torch.lerp(state.magnitude_previous, state.magnitude, 1 + self.beta)
        slope = (B - X.abs()).add_(target.slope(B))
        A = B.sub(slope, alpha=1 / (1 + target.weight)).relu_()
        return PALMState(X, state.spectrum, A, state.magnitude)

    def signal(self, problem: PhaseProblem, state: PALMState) -> Tensor:
        return problem.plan.inverse(state.spectrum)


@dataclasses.dataclass(frozen=True)
class ProximalADMM(ADMM):
    """ADMM with the proximal step of weight λ toward the mel."""

    weight: float = 100.0

    def make_target(self, magnitude: Tensor, mel: MelData | None) -> MelDistance:
        return _target(mel, self.weight)


def reconstruct_jointly(
    method: PhaseMethod, mel: Tensor, convention: MelConvention, n_iter: int, init: str
) -> Tensor:
    """Invert a linear magnitude mel (n_mels, n_frames) from its entropic magnitude."""
    filterbank = MelFilterbank(convention)
    magnitude = entropic(mel, filterbank)
    linear_mel = LinearMel(mel, filterbank, convention)
    solution = reconstruct(method, magnitude, STFT(convention), n_iter, init=init, mel=linear_mel)
    return solution.waveform
