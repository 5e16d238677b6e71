"""Relaxed averaged alternating reflections, handed over to fast Griffin-Lim.

Luke (2005), with R = 2P − I the reflection that belongs to a projection:

    c ← β/2 (c + R_C(R_A(c))) + (1 − β) P_A(c)  =  β (c + P_C(2 P_A(c) − c)) + (1 − 2β) P_A(c).

It leaves the neighbourhoods where Griffin-Lim gets stuck, but does not settle; Peer, Welker and Gerkmann (2022) therefore let
Griffin-Lim finish. The answer is the signal of P_A(c).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import check_number
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import PhaseMethod, PhaseProblem, Then
from torchmelinv.phase.retrieve import retrieve


class RaarState(NamedTuple):
    spectrum: Tensor  # c, complex (items, frames, n_freqs)


@dataclasses.dataclass(frozen=True)
class Raar(PhaseMethod):
    """The number of the recursion: `relaxation` β from 0 to 1."""

    relaxation: float = 0.9

    def __post_init__(self) -> None:
        check_number("relaxation", self.relaxation, 0, 1)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> RaarState:
        return RaarState(spectrum)

    def step(self, problem: PhaseProblem, state: RaarState) -> RaarState:
        beta = self.relaxation
        imposed = problem.impose(state.spectrum.clone())
        reflected = problem.plan.consistent(2 * imposed - state.spectrum)
        return RaarState(beta * (state.spectrum + reflected) + (1 - 2 * beta) * imposed)

    def signal(self, problem: PhaseProblem, state: RaarState) -> Tensor:
        return problem.plan.synthesise(problem.impose(state.spectrum.clone()))


def raar_then_fast_griffin_lim(relaxation: float = 0.9, after: int | float = 0.5, momentum: float = 0.99) -> Then:
    """The schedule: RAAR for `after` iterations, or that share of them, then fast Griffin-Lim."""
    return Then(Raar(relaxation), GriffinLim(momentum), after)


def raar(
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    n_iter: int = 32,
    relaxation: float = 0.9,
    after: int | float = 0.5,
    momentum: float = 0.99,
    **options: Any,
) -> Tensor:
    """RAAR, then fast Griffin-Lim: magnitude (…, n_freqs, n_frames) -> waveform (…, n_samples).

    `relaxation` β from 0 to 1. `after`: iterations of RAAR before Griffin-Lim with `momentum` takes over, a whole number or a
    share of `n_iter` below 1. `options` as in `griffin_lim`, and so the invariants. Cost of an iteration of RAAR: that of
    Griffin-Lim and four more passes over complex spectra, one of which is the state.
    """
    method = raar_then_fast_griffin_lim(relaxation, after, momentum)
    return retrieve(method, magnitude, frame, n_iter, **options).waveform
