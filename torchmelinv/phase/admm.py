"""Griffin-Lim by the alternating direction method of multipliers.

Masuyama, Yatabe and Oikawa (2019) split "has the magnitude" (X) from "is the spectrum of a signal" (Z) and tie the two by a
multiplier (U):

    X = P_A(Z − U),    Y = X + U,    Z = (ρ Y + P_C(Y)) / (1 + ρ),    U ← Y − Z.

ρ = 0 asks for consistency strictly; ρ > 0 counts its squared distance, which suits magnitudes that no signal has; ρ = 1 is
Griffin-Lim. The answer is the signal of P_A(Z − U).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import check_number
from torchmelinv.phase.method import PhaseMethod, PhaseProblem
from torchmelinv.phase.retrieve import retrieve


class AdmmState(NamedTuple):
    difference: Tensor  # Z − U, complex (items, frames, n_freqs)
    multiplier: Tensor  # U


@dataclasses.dataclass(frozen=True)
class Admm(PhaseMethod):
    """The number of the recursion: `softness` ρ, at least 0."""

    softness: float = 0.1

    def __post_init__(self) -> None:
        check_number("softness", self.softness, 0)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> AdmmState:
        return AdmmState(spectrum, torch.zeros_like(spectrum))

    def step(self, problem: PhaseProblem, state: AdmmState) -> AdmmState:
        tied = problem.impose(state.difference.clone()) + state.multiplier
        split = torch.lerp(problem.plan.consistent(tied), tied, self.softness / (1 + self.softness))
        multiplier = tied - split
        return AdmmState(split - multiplier, multiplier)

    def signal(self, problem: PhaseProblem, state: AdmmState) -> Tensor:
        return problem.plan.synthesise(problem.impose(state.difference.clone()))


def admm(
    magnitude: Tensor, frame: Frame | FrameConvention, n_iter: int = 32, softness: float = 0.1, **options: Any
) -> Tensor:
    """Phase retrieval by ADMM: magnitude (…, n_freqs, n_frames) -> waveform (…, n_samples).

    `softness` ρ ≥ 0. `options` as in `griffin_lim`, and so the invariants; there is no bound on the inconsistency from one
    iteration to the next. Strong in few iterations at 50 % overlap. Cost of an iteration: that of Griffin-Lim and four more
    passes over complex spectra, two of which are the state.
    """
    return retrieve(Admm(softness), magnitude, frame, n_iter, **options).waveform
