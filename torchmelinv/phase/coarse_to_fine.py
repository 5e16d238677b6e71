"""Coarse to fine: mel-consistent inversion of the low frequencies first, at a fraction of the cost.

What PESQ hears of an inversion is mostly decided below 1 kHz, by the phases of harmonics that the
mel resolves. The bands there make the same problem at 1/D of the sampling rate
(`coarse_problem.py`), where an iteration costs 1/D. So for D = 16, 8, 4 and 2 in turn, as far as
the sizes of the STFT are divisible and half of the lower rate is at least 1 kHz,

    n_D times    x_D ← the step of `method`, with weights of frames (`frame_weights.py`),

from the spectrum that the stage before left, whose bins below the center of the last band but one
are then those of D · STFT_D(x_D). Above them is still the initial phase. The remaining iterations,
with weights too, are at the full rate; with few of them high frequencies stay rough. Before the
last four the extrapolation starts again: log-mel L1 falls by a sixth.

An iteration counts by its processor time: 1/D, and a part that no rate shortens. Each D gets the
same part of the `coarse` iterations. So the length of an item sets its schedule, also in a padded
batch. On other devices than the CPU an iteration takes as long at any rate, and an exported graph
has no length: there all iterations are at the full rate, without weights. Where no D is possible,
they are at the full rate, too.

An integer gradient mode counts the coarse iterations, before those at the full rate, as one: it
passes none of them unless it passes all.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv.errors import InputError
from torchmelinv.phase.coarse_problem import coarse_problem, refined
from torchmelinv.phase.frame_weights import frame_weights
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.mel_target import MelTarget
from torchmelinv.phase.method import PhaseMethod, check_part, part_of
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import Target
from torchmelinv.solvers.iterate import iterate, select
from torchmelinv.transforms.stft_plan import STFTPlan

DIVISORS = (16, 8, 4, 2)
LOWEST_RATE = 2000  # Hz, of a coarse problem
LAST = 4  # iterations, at the full rate, after starting again
OVERHEAD = 2**15  # samples of frames that take as long as the constant part of an iteration


@dataclasses.dataclass(frozen=True)
class CoarseToFine(MelConsistent):
    """`MelConsistent` at fractions of the sampling rate first: closer at the same cost.

    An iteration at 1/D of the rate counts by its processor time, 1/D and some overhead. D is 16, 8,
    4 and 2 in turn, as far as `n_fft`, `hop_length`, `win_length` and the padding are divisible and
    at least 2 kHz are left. Where none is, for mels that are inverted in pieces
    (`MelInverter.memory_of`), on other devices than the CPU and in exported graphs, all iterations
    are at the full rate.

    Args:
        method: As in `MelConsistent`. One that finds its own phases is at the full rate alone.
        inner_iter: As in `MelConsistent`.
        damping: As in `MelConsistent`.
        time_structure: Must be 0: it needs more iterations at the full rate.
        coarse: Cost of the iterations at fractions of the rate: an integer number of iterations at
            the full rate, or a fraction (below 1) of all.

    Raises:
        InputError: As for `MelConsistent`, or if `coarse` is neither a count nor a fraction.

    Example:
        >>> import torchmelinv as tmi
        >>> phase = tmi.phases.CoarseToFine(damping=0.8, coarse=0.5)
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=phase)
    """

    coarse: int | float = 0.625

    def __post_init__(self) -> None:
        super().__post_init__()
        check_part("coarse", self.coarse)
        if self.time_structure:
            raise InputError(
                f"time_structure is {self.time_structure!r}; CoarseToFine needs 0, use "
                "MelConsistent"
            )

    @property
    def full_rate(self) -> MelConsistent:
        return MelConsistent(self.method, self.inner_iter, self.damping)

    @property
    def iterations_of_init(self) -> int:
        return int(self.coarse)

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        coarse = min(part_of(n_iter, self.coarse), max(n_iter - 1, 0))
        coarse = coarse if self.uses_initial_phase else 0
        (first, count), *others = self.method.stages(n_iter - coarse)
        restart = 0 if others else count - min(LAST, count // 2)
        inner = self.inner_iter, self.damping
        return [
            (_Stage(first, *inner, coarse=coarse, restart_at=restart), count),
            *((_Stage(method, *inner, coarse=0), count) for method, count in others),
        ]

    def make_problem(self, target: Target, plan: STFTPlan, n_channels: int) -> PhaseProblem:
        weights = None
        if isinstance(target, MelTarget) and may_depend_on_values(plan.window):
            weights = frame_weights(target, plan)
        return PhaseProblem(target, plan, n_channels, weights)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> Any:
        cost = self.iterations_of_init
        problems = _coarse_problems(problem) if cost else []
        for divisor, coarse in problems:
            n_freqs = coarse.plan.convention.n_freqs
            n_iter = _counts(problem.plan, cost / len(problems), divisor)
            state = self._iterated(coarse, spectrum[..., :n_freqs] / divisor, n_iter)
            spectrum = refined(coarse, divisor, spectrum, self.signal(coarse, state))
        return self._iterated(problem, spectrum, 0 if problems else cost)

    def _iterated(self, problem: PhaseProblem, spectrum: Tensor, counts: int | Tensor) -> Any:
        """Return the state after a number of iterations, or one of each item (items, 1)."""
        most = counts if isinstance(counts, int) else int(counts.max())

        def step(state: Any, number: int) -> Any:
            after = self.step(problem, state)
            return after if isinstance(counts, int) else select(counts > number, after, state)

        state = super().init(problem, spectrum)
        return iterate(step, state, most, numbered=True, safeguard=self.safeguard).state


@dataclasses.dataclass(frozen=True)
class _Stage(CoarseToFine):
    """A stage, whose `coarse` is a count."""

    restart_at: int = 0  # the iteration at the full rate that drops the extrapolation before it

    def numbered_step(self, problem: PhaseProblem, state: Any, number: int) -> Any:
        if number and number == self.restart_at:
            state = self.init_from_signal(state[0]) or state
        return super().numbered_step(problem, state, number)


def _counts(plan: STFTPlan, cost: float, divisor: int) -> int | Tensor:
    """Return how many iterations at 1 / divisor of the rate cost as much as `cost` others.

    One number, or that of each item (items, 1) if they differ in length.
    """
    n_frames: Any = plan.n_frames
    if plan.frame_mask is not None:
        n_frames = plan.frame_mask.sum(1).double()
    overhead = OVERHEAD / (n_frames * plan.convention.n_fft)
    counts = cost * (1 + overhead) / (1 / divisor + overhead)
    return counts.round().long() if isinstance(counts, Tensor) else round(counts)


def _coarse_problems(problem: PhaseProblem) -> list[tuple[int, PhaseProblem]]:
    """Return the problems at fractions of the rate with their divisors, the lowest rate first.

    There are none on other devices than the CPU and in exported graphs.
    """
    target = problem.target
    if not may_depend_on_values(problem.plan.window) or not isinstance(target, MelTarget):
        return []
    possible = [divisor for divisor in DIVISORS if target.sample_rate >= LOWEST_RATE * divisor]
    problems = [(divisor, coarse_problem(problem, divisor)) for divisor in possible]
    return [(divisor, coarse) for divisor, coarse in problems if coarse is not None]
