"""Griffin-Lim and fast Griffin-Lim, in the signal domain.

Griffin and Lim (1984): c ← P_C(P_A(c)), with P_A imposing the magnitude and P_C = STFT ∘ ISTFT. Perraudin, Balazs and
Søndergaard (2013) extrapolate what the consistency projection gave: t_n = P_C(P_A(c_n−1)), c_n = t_n + α (t_n − t_n−1). The
STFT is linear, so with x_n = ISTFT(P_A(c_n−1)) this is c_n = STFT(x_n + α (x_n − x_n−1)): the state is two waveforms instead of
two complex spectra, and one iteration is

    y = x_n + α (x_n − x_n−1),    x_n+1 = ISTFT(A · STFT(y) / |STFT(y)|).

librosa and torchaudio write the same recursion with α / (1 + α) in front of t_n−1: the phase is the same. α = 0 is
Griffin-Lim.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from torch import Tensor

from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import check_number
from torchmelinv.phase.method import PhaseMethod, PhaseProblem
from torchmelinv.phase.retrieve import retrieve


class GriffinLimState(NamedTuple):
    signal: Tensor  # x_n, (items, samples)
    previous: Tensor  # x_n−1


@dataclasses.dataclass(frozen=True)
class GriffinLim(PhaseMethod):
    """The numbers of the recursion: `momentum` α, at least 0 (0.99 is the usual choice; above 1 it may not settle)."""

    momentum: float = 0.0
    only_launches = True

    def __post_init__(self) -> None:
        check_number("momentum", self.momentum, 0, hint="0.99 is usual")

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> GriffinLimState:
        signal = problem.plan.synthesise(spectrum)
        return GriffinLimState(signal, signal)

    def step(self, problem: PhaseProblem, state: GriffinLimState) -> GriffinLimState:
        return GriffinLimState(problem.advance(state.signal, state.previous, self.momentum)[0], state.signal)


def griffin_lim(
    magnitude: Tensor, frame: Frame | FrameConvention, n_iter: int = 32, momentum: float = 0.0, **options: Any
) -> Tensor:
    """Griffin-Lim: magnitude (…, n_freqs, n_frames), not its power -> waveform (…, n_samples).

    `momentum` 0.99 makes it fast Griffin-Lim. `options` are those of `retrieve`: start, seed, lengths, length,
    start_waveform, tolerance, gradient. Invariants: scale-equivariant; with zero padding and momentum 0 the inconsistency never
    rises; n_iter = 0 is the start. Cost of an iteration: one real FFT and one inverse for each frame.
    """
    return retrieve(GriffinLim(momentum), magnitude, frame, n_iter, **options).waveform


def fast_griffin_lim(
    magnitude: Tensor, frame: Frame | FrameConvention, n_iter: int = 32, momentum: float = 0.99, **options: Any
) -> Tensor:
    """Fast Griffin-Lim: `griffin_lim` with the momentum of Perraudin et al. (2013); magnitude (…, n_freqs, n_frames)."""
    return griffin_lim(magnitude, frame, n_iter, momentum, **options)
