"""Griffin-Lim and fast Griffin-Lim, in the signal domain.

Griffin and Lim (1984) iterate c ← P_C(P_A(c)): P_A imposes the magnitude A, P_C = STFT ∘ ISTFT
makes the spectrum consistent. Perraudin, Balazs and Søndergaard (2013) extrapolate the result of
P_C: t_n = P_C(P_A(c_n−1)), c_n = t_n + α (t_n − t_n−1). The STFT is linear, so with x_n =
ISTFT(P_A(c_n−1)) this is c_n = STFT(x_n + α (x_n − x_n−1)). The state is two waveforms instead of
two complex spectra, and one iteration is

    y = x_n + α (x_n − x_n−1),    x_n+1 = ISTFT(A · STFT(y) / |STFT(y)|).

librosa and torchaudio write the same recursion with α / (1 + α) in front of t_n−1; the phase is the
same. α = 0 is Griffin-Lim. An iteration costs one real FFT and one inverse FFT per frame.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.validation import check_number
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem, extrapolate
from torchmelinv.phase.restart import check_rise, no_distance


class GriffinLimState(NamedTuple):
    signal: Tensor  # x_n, (items, samples)
    previous: Tensor  # x_n−1
    least: Tensor  # ‖x_n − y‖ at checks, the least so far (`restart.py`), (items, 1)


@dataclasses.dataclass(frozen=True)
class GriffinLim(PhaseMethod):
    """Griffin-Lim, optionally with momentum.

    With zero padding and no momentum, the inconsistency never rises from one iteration to the next.

    Args:
        momentum: Extrapolation α, at least 0. Above 1 the iteration may not settle.

    Raises:
        InputError: If the momentum is negative or not a number.

    References:
        D. Griffin and J. Lim, "Signal estimation from modified short-time Fourier transform", IEEE
        Trans. ASSP 32(2), 1984.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=tmi.phases.GriffinLim(), n_iter=100)
    """

    momentum: float = 0.0

    def __post_init__(self) -> None:
        check_number("momentum", self.momentum, 0, hint="0.99 is usual")

    @property
    def cuda_graph_safe(self) -> bool:
        return True

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> GriffinLimState:
        return self.init_from_signal(problem.plan.inverse(spectrum))

    def init_from_signal(self, signal: Tensor) -> GriffinLimState:
        return GriffinLimState(signal, signal, no_distance(signal))

    def step(self, problem: PhaseProblem, state: GriffinLimState) -> GriffinLimState:
        x, x_previous, alpha = state.signal, state.previous, self.momentum
        fused = problem.fused_step(x, x_previous, alpha, alpha, 1.0)
        if fused is not None:
            return GriffinLimState(fused[0], x, state.least)
        y = extrapolate(x, x_previous, alpha)
        return GriffinLimState(problem.consistent_projection(y), x, state.least)

    def restart(self, before: Any, after: Any) -> GriffinLimState:
        if self.momentum == 0:
            return after
        y = extrapolate(before.signal, before.previous, self.momentum)
        rises, least = check_rise(after.signal, y, after.least)
        previous = torch.where(rises, after.signal, after.previous)
        return GriffinLimState(after.signal, previous, least)


@dataclasses.dataclass(frozen=True)
class FastGriffinLim(GriffinLim):
    """Fast Griffin-Lim: `GriffinLim` with the usual momentum.

    Args:
        momentum: Extrapolation α, at least 0. Above 1 the iteration may not settle.

    Raises:
        InputError: If the momentum is negative or not a number.

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=tmi.phases.FastGriffinLim(0.9))
    """

    momentum: float = 0.99
