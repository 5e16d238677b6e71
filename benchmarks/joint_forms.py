"""Joint inversion in two published forms, for comparison with `mel_consistent`.

Both were posed by Masuyama, Ueno and Ono (WASPAA 2023, arXiv 2307.12232; arXiv 2501.05557) and are written here from the papers'
ideas, in a few lines each and for magnitude mels (power 1) only. The papers' own details, constants and starts may differ, so
that what these forms score says nothing of the figures that the papers report.

With the spectrum X of a signal, a magnitude A ≥ 0, the mel m and the filterbank M, and λ counted in units of 1 / σ², σ the
largest singular value of M:

`Palm`: inertial proximal alternating linearised minimisation of  ½ ‖|X| − A‖² + λ/2 ‖M A − m‖²,

    Y = X + α (X − X_before),    X ← P_C(A · Y / |Y|),
    B = A + β (A − A_before),    A ← max(0, B − τ ((B − |X|) + λ Mᵀ(M B − m))),    τ = 1 / (1 + λ σ²).

`MelDistance.impose`: what takes the imposed magnitude's place in any splitting, `Admm` above all: the proximal step of
λ/2 ‖M A − m‖² at A = |c|, angles kept,

    A = max(0, |c| + λ Mᵀ (I + λ M Mᵀ)⁻¹ (m − M |c|)).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

import torchmelinv as tmi
from torchmelinv.conventions import MelConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.functional import entropic
from torchmelinv.ops.impose_magnitude import impose_magnitude
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.method import PhaseMethod, PhaseProblem, relative_norm
from torchmelinv.phase.retrieve import Wanted, retrieve


class MelDistance(NamedTuple):
    """λ/2 ‖M |c| − m‖²."""

    values: Tensor  # m, (items, frames, n_mels)
    bands: Tensor  # Mᵀ / σ, (n_freqs, n_mels): rows are multiplied from the right
    back: Tensor  # λ (I + λ M Mᵀ / σ²)⁻¹ M / σ, (n_mels, n_freqs)
    weight: float  # λ

    def impose(self, spectrum: Tensor) -> Tensor:
        magnitude = spectrum.abs()
        return impose_magnitude(spectrum, (magnitude + (self.values - magnitude @ self.bands) @ self.back).relu_())

    def distance(self, spectrum: Tensor) -> Tensor:
        return relative_norm(spectrum.abs() @ self.bands - self.values, self.values)

    def slope(self, magnitude: Tensor) -> Tensor:
        """λ Mᵀ(M A − m)."""
        return self.weight * (magnitude @ self.bands - self.values) @ self.bands.mT


def mel_distance(mel: Tensor, filterbank: MelFilterbank, weight: float) -> MelDistance:
    """The distance from a linear mel (items, frames, n_mels), `weight` λ in units of 1 / σ²."""
    table = filterbank.table
    largest = torch.linalg.matrix_norm(table, 2)
    matrix = table / largest
    inverse = torch.linalg.inv(torch.eye(len(matrix), dtype=matrix.dtype) + weight * matrix @ matrix.mT)
    bands, back = (each.to(mel.dtype) for each in (matrix.mT, weight * inverse @ matrix))
    return MelDistance(mel / largest.to(mel.dtype), bands, back, weight)


class PalmState(NamedTuple):
    spectrum: Tensor  # X, complex (items, frames, n_freqs)
    before: Tensor  # X_before
    magnitude: Tensor  # A
    magnitude_before: Tensor


@dataclasses.dataclass(frozen=True)
class Palm(PhaseMethod):
    """The numbers of the recursion: `momentum` α of the spectrum, `inertia` β of the magnitude. It needs a `MelDistance`."""

    momentum: float = 0.99
    inertia: float = 0.99

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> PalmState:
        magnitude = spectrum.abs()
        consistent = problem.plan.consistent(spectrum)
        return PalmState(consistent, consistent, magnitude, magnitude)

    def step(self, problem: PhaseProblem, state: PalmState) -> PalmState:
        target = problem.target
        assert isinstance(target, MelDistance)
        ahead = torch.lerp(state.before, state.spectrum, 1 + self.momentum)
        spectrum = problem.plan.consistent(impose_magnitude(ahead, state.magnitude))
        ahead = torch.lerp(state.magnitude_before, state.magnitude, 1 + self.inertia)
        slope = (ahead - spectrum.abs()).add_(target.slope(ahead))
        magnitude = ahead.sub_(slope, alpha=1 / (1 + target.weight)).relu_()
        return PalmState(spectrum, state.spectrum, magnitude, state.magnitude)

    def signal(self, problem: PhaseProblem, state: PalmState) -> Tensor:
        return problem.plan.synthesise(state.spectrum)


def joint(method: PhaseMethod, weight: float, mel: Tensor, convention: MelConvention, n_iter: int, start: str) -> Tensor:
    """Linear magnitude mel (n_mels, n_frames) -> waveform (n_samples,), from the entropic magnitude."""
    if convention.power != 1:
        raise ValueError(f"the published forms are written for magnitude mels, not for power {convention.power:g}")
    filterbank = tmi.MelFilterbank(convention)
    magnitude = entropic(mel, filterbank)
    wanted = Wanted(mel, 1, lambda values, _: mel_distance(values, filterbank, weight))
    return retrieve(method, magnitude, convention, n_iter, start=start, wanted=wanted).waveform


# Chosen on three clips of speech (hifigan_22k, 32 and 100 iterations, from pghi and from random phases). Tried: λ of 0.1, 1, 3,
# 10, 30, 100, 1000 with (α, β) of (0.99, 0.99), (0.99, 0.9), (0.99, 0.5), (0.99, 0), (0.5, 0.5), (0, 0.99), (1.1, 0.99) and
# (0.99, 1.1); for ADMM λ of 1, 10, 30, 100, 300, 1000, 10000 with ρ of 0.05, 0.1, 0.2 and 1.
PALM, PALM_WEIGHT = Palm(), 10.0
ADMM, ADMM_WEIGHT = Admm(0.1), 100.0
