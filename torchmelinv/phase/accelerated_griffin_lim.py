"""Accelerated Griffin-Lim, in the signal domain.

Nenov, Nguyen and Balazs (2023) extrapolate twice from the result of the projections, and relax:

    t_n = (1 − γ) d_n−1 + γ P_C(P_A(c_n−1)),
    c_n = t_n + α (t_n − t_n−1),    d_n = t_n + β (t_n − t_n−1).

After the first P_C all three are spectra of signals, and the STFT is linear, so the iteration runs
on signals: with x_n = ISTFT(P_A(STFT(c_n−1))) the first line is t_n = (1 − γ) d_n−1 + γ x_n. β = α
and γ = 1 give fast Griffin-Lim. An iteration costs two passes over signals more than Griffin-Lim.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.validation import check_number
from torchmelinv.errors import InputError
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem, extrapolate
from torchmelinv.phase.restart import check_rise, no_distance


class AcceleratedState(NamedTuple):
    signal: Tensor  # x_n, the last result of the projections, (items, samples)
    relaxed: Tensor  # t_n
    previous: Tensor  # t_n−1
    least: Tensor  # ‖x − d‖ at checks, the least so far (`restart.py`), (items, 1)


@dataclasses.dataclass(frozen=True)
class AcceleratedGriffinLim(PhaseMethod):
    """Accelerated Griffin-Lim.

    No bound on the inconsistency holds from one iteration to the next.

    Args:
        alpha: Extrapolation α before the projections, at least 0. Above 1 the iteration may not
            settle.
        beta: Extrapolation β of the relaxation, at least 0.
        gamma: Relaxation γ, from 0.001 to below 1 + 1 / (1 + 2 β): beyond, the iteration diverges.

    Raises:
        InputError: If a number is out of its range.

    References:
        R. Nenov, D.-K. Nguyen and P. Balazs, "Faster than fast: accelerating the Griffin-Lim
        algorithm", ICASSP 2023.

    Example:
        >>> import torchmelinv as tmi
        >>> phase = tmi.phases.AcceleratedGriffinLim(alpha=1.1, beta=0.5)
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=phase)
    """

    alpha: float = 0.99
    beta: float = 0.99
    gamma: float = 1.1

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0)
        check_number("beta", self.beta, 0)
        check_number("gamma", self.gamma, 1e-3, 2)
        beyond, beta = self.gamma - 1, self.beta
        if beyond * (1 + 2 * beta) >= 1 or -beyond * beta >= 1:
            largest = 1 + 1 / (1 + 2 * beta)
            raise InputError(
                f"gamma is {self.gamma!r}; with beta {beta!r} it must be below {largest:.4g}: "
                "beyond, the iteration does not settle"
            )

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    def with_momentum(self, momentum: float) -> AcceleratedGriffinLim:
        return dataclasses.replace(self, alpha=momentum)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> AcceleratedState:
        return self.init_from_signal(problem.plan.inverse(spectrum))

    def init_from_signal(self, signal: Tensor) -> AcceleratedState:
        return AcceleratedState(signal, signal, signal, no_distance(signal))

    def step(self, problem: PhaseProblem, state: AcceleratedState) -> AcceleratedState:
        t, t_previous = state.relaxed, state.previous
        fused = problem.fused_step(t, t_previous, self.alpha, self.beta, self.gamma)
        if fused is not None:
            x, t_next = fused
            return AcceleratedState(x, t_next, t, state.least)
        c = extrapolate(t, t_previous, self.alpha)
        d = c if self.beta == self.alpha else extrapolate(t, t_previous, self.beta)
        x = problem.consistent_projection(c)
        return AcceleratedState(x, torch.lerp(d, x, self.gamma), t, state.least)

    def restart(self, before: Any, after: Any) -> AcceleratedState:
        d = extrapolate(before.relaxed, before.previous, self.beta)
        rises, least = check_rise(after.signal, d, after.least)
        previous = torch.where(rises, after.relaxed, after.previous)
        return AcceleratedState(after.signal, after.relaxed, previous, least)
