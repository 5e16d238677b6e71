"""Accelerated Griffin-Lim, in the signal domain.

Nenov, Nguyen and Balazs (2023) extrapolate twice from what the projections gave, and relax:

    t_n = (1 − γ) d_n−1 + γ P_C(P_A(c_n−1)),    c_n = t_n + α (t_n − t_n−1),    d_n = t_n + β (t_n − t_n−1).

All three are spectra of signals once the start has passed P_C, and the STFT is linear, so they are signals here: c and d
extrapolate the last two t, and with x_n = ISTFT(P_A(STFT(c_n−1))) the first equation is t_n = (1 − γ) d_n−1 + γ x_n. β = α and
γ = 1 make it fast Griffin-Lim.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import check_number
from torchmelinv.phase.method import PhaseMethod, PhaseProblem
from torchmelinv.phase.retrieve import retrieve


class AcceleratedState(NamedTuple):
    signal: Tensor  # x_n, what the projections gave last, (items, samples)
    relaxed: Tensor  # t_n
    previous: Tensor  # t_n−1


@dataclasses.dataclass(frozen=True)
class AcceleratedGriffinLim(PhaseMethod):
    """The numbers of the recursion: `momentum` α and `inertia` β, at least 0 (above 1 it may not settle), and `relaxation` γ.

    Between projections t follows (1 − γ) d: γ from 0.001 to below 1 + 1 / (1 + 2 β), or this part would grow by itself.
    """

    momentum: float = 0.99
    inertia: float = 0.99
    relaxation: float = 1.1
    only_launches = True

    def __post_init__(self) -> None:
        check_number("momentum", self.momentum, 0)
        check_number("inertia", self.inertia, 0)
        check_number("relaxation", self.relaxation, 1e-3, 2)
        beyond, inertia = self.relaxation - 1, self.inertia
        if beyond * (1 + 2 * inertia) >= 1 or -beyond * inertia >= 1:
            most = 1 + 1 / (1 + 2 * inertia)
            raise InputError(f"relaxation is {self.relaxation!r}; with inertia {inertia!r} it must be below {most:.4g} to settle")

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> AcceleratedState:
        signal = problem.plan.synthesise(spectrum)
        return AcceleratedState(signal, signal, signal)

    def step(self, problem: PhaseProblem, state: AcceleratedState) -> AcceleratedState:
        signal, new = problem.advance(state.relaxed, state.previous, self.momentum, self.inertia, self.relaxation)
        return AcceleratedState(signal, new, state.relaxed)


def accelerated_griffin_lim(
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    n_iter: int = 32,
    momentum: float = 0.99,
    inertia: float = 0.99,
    relaxation: float = 1.1,
    **options: Any,
) -> Tensor:
    """Accelerated Griffin-Lim: magnitude (…, n_freqs, n_frames) -> waveform (…, n_samples).

    `options` as in `griffin_lim`, and so the invariants; there is no bound on the inconsistency from one iteration to the next.
    Cost of an iteration: that of Griffin-Lim and two more passes over signals.
    """
    return retrieve(AcceleratedGriffinLim(momentum, inertia, relaxation), magnitude, frame, n_iter, **options).waveform
