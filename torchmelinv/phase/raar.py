"""Relaxed averaged alternating reflections, handed over to fast Griffin-Lim.

Luke (2005), with R = 2P − I the reflection that belongs to a projection P:

    c ← β/2 (c + R_C(R_A(c))) + (1 − β) P_A(c)  =  β (c + P_C(2 P_A(c) − c)) + (1 − 2β) P_A(c).

The iteration leaves the neighborhoods where Griffin-Lim gets stuck, but does not settle. Peer,
Welker and Gerkmann (2022) therefore finish with Griffin-Lim. The result is the signal of P_A(c). An
iteration of RAAR costs four passes over complex spectra more than Griffin-Lim; one is the state.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from torch import Tensor

from torchmelinv._utils.validation import check_number
from torchmelinv.phase.griffin_lim import FastGriffinLim
from torchmelinv.phase.method import PhaseMethod, Then
from torchmelinv.phase.problem import PhaseProblem


class RAARState(NamedTuple):
    spectrum: Tensor  # c, complex (items, frames, n_freqs)


@dataclasses.dataclass(frozen=True)
class RAAR(PhaseMethod):
    """RAAR for the first iterations, then fast Griffin-Lim.

    Args:
        beta: Relaxation β, from 0 to 1.
        after: Iterations of RAAR: an integer, or a fraction (below 1) of all iterations. None
            runs RAAR alone: use it inside `Then`, since RAAR otherwise hands over by itself.
        momentum: Momentum of fast Griffin-Lim.

    Raises:
        InputError: If a number is out of its range.

    References:
        D. R. Luke, "Relaxed averaged alternating reflections for diffraction imaging", Inverse
        Problems 21(1), 2005.

        T. Peer, S. Welker and T. Gerkmann, "Beyond Griffin-Lim: improved iterative phase retrieval
        for speech", IWAENC 2022.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=tmi.phases.RAAR(beta=0.8))
    """

    beta: float = 0.9
    after: int | float | None = 0.5
    momentum: float = 0.99

    def __post_init__(self) -> None:
        check_number("beta", self.beta, 0, 1)
        self._schedule()

    def _schedule(self) -> PhaseMethod:
        """Return RAAR alone, or RAAR and the Griffin-Lim that follows it."""
        if self.after is None:
            FastGriffinLim(self.momentum)  # refuses a wrong momentum
            return self
        alone = dataclasses.replace(self, after=None)
        return Then(alone, FastGriffinLim(self.momentum), self.after)

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        return [(self, n_iter)] if self.after is None else self._schedule().stages(n_iter)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> RAARState:
        return RAARState(spectrum)

    def step(self, problem: PhaseProblem, state: RAARState) -> RAARState:
        beta, c = self.beta, state.spectrum
        imposed = problem.impose(c.clone())
        reflected = problem.plan.consistent(2 * imposed - c)
        return RAARState(beta * (c + reflected) + (1 - 2 * beta) * imposed)

    def signal(self, problem: PhaseProblem, state: RAARState) -> Tensor:
        return problem.plan.inverse(problem.impose(state.spectrum.clone()))
