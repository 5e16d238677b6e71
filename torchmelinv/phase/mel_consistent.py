"""Mel-consistent inversion: magnitude and phase found together, from the mel itself.

A cascade first settles on one of the many magnitudes that fit a mel, then looks for a phase that
fits that magnitude; mostly there is none. Here the iteration of any phase method alternates instead
between spectra of signals (P_C) and spectra that have the mel (P_M, `mel_target.py`), and the fine
structure that the mel does not determine follows the signal. With momentum α this is

    y = x_n + α (x_n − x_n−1),    x_n+1 = ISTFT(P_M(STFT(y))),

from the entropic magnitude and any initial phase. An extrapolation that leads away starts again
(`restart.py`). Masuyama, Ueno and Ono posed joint inversion and
solve it by inertial proximal alternating linearized minimization (2023) and by ADMM (2025). Their
squared distance from the mel is here a multiplicative update without a step size. The updates would
multiply whatever is most consistent among the bins that the mel hardly sees, or does not tell
apart. Two things keep them from lines and pulses: the filters at the edges (`edge_filters.py`), and
initial phases that are random where the magnitude has no fine structure (`pghi.py`).
`MelConsistent(ADMM())` is the splitting of the latter with that update.

`time_structure.py` adds what the mel does not show: pitch pulses and onsets within a frame.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.errors import InputError
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.mel_target import MelTarget, mel_target
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MelData
from torchmelinv.phase.time_structure import ShapedProblem, find_gain

_DEFAULT_METHOD = AcceleratedGriffinLim()
_FREE_ITERATIONS = 10  # before the gain of `time_structure` is found
_SHAPED_ITERATIONS = 22  # that its strength is chosen for


@functools.cache
def _extended_state(state: Any) -> Any:
    """Return the NamedTuple of a method's state with g − 1."""
    return collections.namedtuple(state.__name__, (*state._fields, "gain"))


def _extended(state: Any, gain: Tensor) -> Any:
    """Extend a method's state by g − 1 (items, samples)."""
    kind: Any = type(state)
    return _extended_state(kind)(*state, gain)


@dataclasses.dataclass(frozen=True)
class MelConsistent(PhaseMethod):
    """Hold the spectrum to the mel instead of to one magnitude.

    An iteration costs two banded products per inner iteration more than `method`.

    Args:
        method: The phase method whose magnitude constraint the mel replaces.
        inner_iter: Multiplicative updates toward the mel in one iteration, 1 to 4.
        damping: Exponent of the updates, from 0.001 to 1. At 1 the signal follows the mel as
            far as the updates reach. Lower values let consistency win where the two disagree, as
            for predicted, smoothed or noisy mels.
        time_structure: Strength of the gain that keeps pitch pulses and onsets above 1 kHz from
            flattening, from 0 (none) to 2; 1 fits speech. For `AcceleratedGriffinLim` and
            `GriffinLim` only, and by torch on every backend. It is found after 10 iterations.

    Raises:
        InputError: If `method` is not a phase method, is itself mel-consistent, a number is out of
            its range, or `method` cannot be combined with `time_structure`.

    References:
        Y. Masuyama, N. Ueno and N. Ono, "Signal reconstruction from mel-spectrogram based on
        bi-level consistency of full-band magnitude and phase", WASPAA 2023.

    Example:
        >>> import torchmelinv as tmi
        >>> phase = tmi.phases.MelConsistent(tmi.phases.ADMM(), damping=0.8)
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=phase)
    """

    method: PhaseMethod = _DEFAULT_METHOD
    inner_iter: int = 2
    damping: float = 1.0
    time_structure: float = 0.0

    def __post_init__(self) -> None:
        stages = self.method.stages(2) if isinstance(self.method, PhaseMethod) else []
        if not stages or any(isinstance(stage, MelConsistent) for stage, _ in stages):
            raise InputError(
                f"method is {self.method!r}; it must be a phase method such as GriffinLim(0.99), "
                "and not mel-consistent itself"
            )
        check_whole("inner_iter", self.inner_iter, 1)
        check_number("inner_iter", self.inner_iter, 1, 4)
        check_number("damping", self.damping, 1e-3, 1)
        check_number("time_structure", self.time_structure, 0, 2)
        if self.time_structure and not isinstance(self.method, (AcceleratedGriffinLim, GriffinLim)):
            raise InputError(
                f"time_structure is {self.time_structure!r} and method {self.method!r}; it needs "
                "AcceleratedGriffinLim or GriffinLim, or must be 0"
            )

    @property
    def full_rate(self) -> MelConsistent:
        """The method with all iterations at the full sampling rate: itself."""
        return self

    @property
    def cuda_graph_safe(self) -> bool:
        return self.method.cuda_graph_safe and not self.time_structure

    @property
    def iterations_per_step(self) -> int:
        return self.method.iterations_per_step

    @property
    def uses_initial_phase(self) -> bool:
        return self.method.uses_initial_phase

    def with_momentum(self, momentum: float) -> MelConsistent:
        return dataclasses.replace(self, method=self.method.with_momentum(momentum))

    def make_target(self, magnitude: Tensor, mel: MelData | None) -> MelTarget:
        if mel is None:
            raise InputError(
                "MelConsistent needs a mel, and there is only a magnitude here; use "
                f"mel_to_waveform or MelInverter, or {self.method!r} alone"
            )
        return mel_target(mel, self.inner_iter, self.damping)

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        if self.time_structure:
            # The gain accumulates: over more iterations it is so much smaller.
            shaped = max(n_iter - _FREE_ITERATIONS, _SHAPED_ITERATIONS)
            strength = self.time_structure * _SHAPED_ITERATIONS / shaped
            return [(dataclasses.replace(self, time_structure=strength), n_iter)]
        stages = self.method.stages(n_iter)
        return [(dataclasses.replace(self, method=stage), count) for stage, count in stages]

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> Any:
        state = self.method.init(problem, spectrum)
        if not self.time_structure:
            return state
        return _extended(state, torch.zeros_like(state.signal.detach()))

    def init_from_signal(self, signal: Tensor) -> Any:
        # The gain of the time structure is found from the whole signal.
        return None if self.time_structure else self.method.init_from_signal(signal)

    def step(self, problem: PhaseProblem, state: Any) -> Any:
        return self.method.step(problem, state)

    def numbered_step(self, problem: PhaseProblem, state: Any, number: int) -> Any:
        if not self.time_structure:
            return self.method.numbered_step(problem, state, number)
        target: Any = problem.target
        gain, rate = state.gain, target.sample_rate
        if number == _FREE_ITERATIONS:
            gain = find_gain(state.signal.detach(), rate, self.time_structure)
        if number >= _FREE_ITERATIONS:
            problem = ShapedProblem(
                problem.target, problem.plan, problem.n_channels, gain=gain, rate=rate
            )
        return _extended(self.method.numbered_step(problem, state, number), gain)

    def safeguard(self, before: Any, after: Any) -> Any:
        restarted = self.method.restart(before, after)
        if not self.time_structure:
            return restarted
        return _extended(restarted, after.gain)

    def signal(self, problem: PhaseProblem, state: Any) -> Tensor:
        return self.method.signal(problem, state)
