"""Mel-consistent inversion: magnitude and phase found together, straight from the mel.

A cascade first settles on one of the many magnitudes that a mel leaves open, then looks for a phase that fits it, and mostly
there is none. Here the iteration of any phase method alternates instead between spectra of signals (P_C) and spectra that have
the mel (P_M, `mel_target.py`): the fine structure that the mel does not see follows the signal. With momentum α this is

    y = x_n + α (x_n − x_n−1),    x_n+1 = ISTFT(P_M(STFT(y))),

from the entropic magnitude and any start of the phase. Joint inversion was posed by Masuyama, Ueno and Ono, who solve it by
inertial proximal alternating linearised minimisation (2023) and by ADMM (2025); their squared distance from the mel is here a
multiplicative pull without a step size. `MelConsistent(Admm())` is the splitting of the latter with that pull.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from torch import Tensor

from torchmelinv.analysis import take_back_offset
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.joint.mel_target import mel_target
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.ops.checks import as_rows, check_number, check_whole
from torchmelinv.ops.precision import full_precision, lasting
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.retrieve import Wanted, retrieve

USUAL_METHOD = AcceleratedGriffinLim()


@dataclasses.dataclass(frozen=True)
class MelConsistent:
    """`method`: the phase method whose projection the mel takes over. `sweeps`: pulls towards the mel in one iteration, 1 to 4.

    `agreement`, above 0 and at most 1: the part of each pull that is taken, in logarithm. 1 holds the signal to the mel as far as
    sweeps go; less lets consistency win where the two disagree, as for predicted, smoothed or noisy mels.
    """

    method: PhaseMethod = USUAL_METHOD
    sweeps: int = 2
    agreement: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.method, PhaseMethod):
            raise InputError(f"method is {self.method!r}; it must be a phase method such as GriffinLim(0.99)")
        check_whole("sweeps", self.sweeps, 1)
        check_number("sweeps", self.sweeps, 1, 4)
        check_number("agreement", self.agreement, 1e-3, 1)

    def wanted(self, mel: Tensor, filterbank: MelFilterbank, convention: MelConvention) -> Wanted:
        """What `retrieve` shall hold the signal to: the linear mel (…, n_mels, n_frames)."""

        def target(values: Tensor, scale: Tensor) -> Any:
            return mel_target(values, filterbank, convention, scale, self.sweeps, self.agreement)

        return Wanted(mel, convention.power, target)


@functools.lru_cache(maxsize=16)
@lasting
def _filterbank(convention: MelConvention) -> MelFilterbank:
    """Kept with the tables that are made of it, for the next call."""
    return MelFilterbank(convention)


@full_precision
def mel_consistent(
    mel: Tensor,
    convention: MelConvention,
    n_iter: int = 32,
    method: PhaseMethod = USUAL_METHOD,
    sweeps: int = 2,
    agreement: float = 1.0,
    start: str | Tensor = "pghi",
    **options: Any,
) -> Tensor:
    """Linear mel (…, n_mels, n_frames), below 0 taken for 0, of the convention -> waveform (…, n_samples) that has this mel.

    `method`, `sweeps`, `agreement` as in `MelConsistent`; `start` and `options` are those of `retrieve`. Invariants: c · mel
    gives c · waveform (√c at power 2); items do not see each other; n_iter = 0 is the start, at the entropic magnitude. Cost of
    an iteration: the method's, and two banded products a sweep.
    """
    filterbank = _filterbank(convention)
    mel = as_rows(mel, "mel", convention.n_mels).relu()
    wanted = MelConsistent(method, sweeps, agreement).wanted(mel, filterbank, convention)
    magnitude = take_back_offset(entropic(mel, filterbank), convention)
    return retrieve(method, magnitude, convention, n_iter, start=start, wanted=wanted, **options).waveform
