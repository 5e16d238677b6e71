"""The rows of the table of quality: which method, from which start, with how many iterations, on which mel.

A method's name is `mel_consistent`, one of its variants, `<magnitude>+<phase>` for a cascade (`true+<phase>` where the magnitude
is the recording's own), a peer's, or `default`: `MelInverter(convention)` as it comes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

import torchmelinv as tmi
from benchmarks import joint_forms, peers
from benchmarks.mels import CONVENTIONS, MELS, analyzer
from torchmelinv import functional
from torchmelinv.conventions import MelConvention
from torchmelinv.invert import MAGNITUDES, PHASES
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.retrieve import retrieve

Method = Callable[[Tensor, Tensor], Tensor]  # (mel as the model made it, the recording) -> waveform
ITERATIONS = (0, 10, 32, 100, 300)
STARTS = ("random", "zero", "spsi", "pghi")
TRUE_CONVENTIONS = ("hifigan_22k", "hifigan_22k_512")  # whose frames the true magnitude is looked at in
# In RTISI-LA an iteration is one of each frame and its neighbours; local weighted sums cost ten times an iteration of others.
AT_MOST = {"rtisi_la": 32, "lws": 100}
COSTLY = {"rtisi_la": 30.0, "lws": 8.0}  # times an iteration of others, for the estimate


class Row(NamedTuple):
    """One waveform for each clip."""

    mel: str  # one of `MELS`
    method: str
    start: str
    n_iter: int

    @property
    def key(self) -> str:
        return "/".join(map(str, self))

    @property
    def cost(self) -> float:
        """Seconds of one thread for 5 s of sound, roughly."""
        if self.method in ("librosa", "torchaudio"):
            return 1.5 if self.method == "librosa" else 0.3
        each = 0.003 * COSTLY.get(self.method.split("+")[-1], 1.0)
        return 0.03 + (0.1 if self.start == "pghi" else 0) + each * self.n_iter


def row(key: str) -> Row:
    """The row of a key."""
    mel, method, start, n_iter = key.split("/")
    return Row(mel, method, start, int(n_iter))


VARIANTS: dict[str, MelConsistent] = {
    "mel_consistent:fast": MelConsistent(GriffinLim(0.99)),
    "mel_consistent:admm": MelConsistent(Admm()),
    "mel_consistent:1 sweep": MelConsistent(sweeps=1),
    "mel_consistent:3 sweeps": MelConsistent(sweeps=3),
    "mel_consistent:half": MelConsistent(agreement=0.5),
}
JOINT = {
    "joint:palm": (joint_forms.PALM, joint_forms.PALM_WEIGHT),
    "joint:admm": (joint_forms.ADMM, joint_forms.ADMM_WEIGHT),
}
_DEFAULT = tmi.MelInverter("hifigan_22k")
DEFAULT = Row("clean", "default", _DEFAULT.start, _DEFAULT.n_iter)
CASCADE = "entropic+fast_griffin_lim"
PEERS = ("librosa", "torchaudio")


def true_phases() -> list[str]:
    """Phases that take a magnitude."""
    return [name for name, make in PHASES.items() if isinstance(make(), PhaseMethod)]


def iterations(phase: str, of: tuple[int, ...] = ITERATIONS) -> list[int]:
    """Those of `of` that a phase is given."""
    return [n_iter for n_iter in of if n_iter <= AT_MOST.get(phase, n_iter) and (n_iter or phase != "rtisi_la")]


def finalists(convention: str) -> list[Row]:
    """What every clip goes through."""
    rows = [DEFAULT, *(Row("clean", "mel_consistent", "pghi", n_iter) for n_iter in ITERATIONS)]
    rows += [Row(mel, "mel_consistent", "pghi", n_iter) for mel in MELS[1:] for n_iter in (32, 100)]
    rows += [Row(mel, CASCADE, "random", n_iter) for mel in MELS for n_iter in (32, 100)]
    rows += [Row(*each) for each in (
        ("clean", "entropic+raar", "pghi", 32), *((mel, "entropic+raar", "pghi", 100) for mel in MELS),
        *((mel, "librosa", "random", 32) for mel in MELS), ("clean", "torchaudio", "random", 32),
        ("clean", "true+fast_griffin_lim", "random", 100), ("clean", "true+raar", "pghi", 100),
    )]  # fmt: skip
    if convention in ("hifigan_22k", "librosa_melspectrogram"):
        rows.append(Row("clean", "librosa", "random", 100))
    return rows


def field() -> list[Row]:
    """Every phase from every start, every magnitude, and the variants of joint inversion."""
    names = {phase: phase if phase == "mel_consistent" else f"entropic+{phase}" for phase in PHASES}
    rows = [Row("clean", name, start, n) for phase, name in names.items() for start in STARTS for n in iterations(phase)]
    rows += [Row("clean", f"{name}+fast_griffin_lim", "random", 32) for name in MAGNITUDES]
    rows += [Row("clean", name, start, n) for name in (*VARIANTS, *JOINT) for start in ("random", "pghi") for n in (32, 100, 300)]
    return list(dict.fromkeys(rows))


def truth() -> list[Row]:
    """Phases from starts at the true magnitude."""
    phases, starts = true_phases(), [start for start in STARTS if start != "zero"]
    counts = {phase: iterations(phase, ITERATIONS[: 2 if phase == "rtisi_la" else 4]) for phase in phases}
    rows = [Row("clean", f"true+{phase}", start, n) for phase in phases for start in starts for n in counts[phase]]
    return [*rows, Row("clean", "true+fast_griffin_lim", "random", 40)]


def method(row: Row, name: str) -> Method:
    """What a row does with the mels of a convention; ValueError or RuntimeError where a peer cannot."""
    convention = CONVENTIONS[name]
    if row.method in PEERS:
        peer = peers.TorchaudioInverter(convention, row.n_iter) if row.method == "torchaudio" else None
        by = peer or functools.partial(peers.librosa_waveform, convention=convention, n_iter=row.n_iter)
        return lambda mel, _: by(functional.expand(mel, convention.level))
    if row.method in JOINT:
        return _joint(row, convention)
    if row.method.startswith("true+"):
        how, frame = PHASES[row.method.split("+")[1]](), analyzer(name).frame
        return lambda _, clip: retrieve(how, frame.analyse(clip).abs(), frame, row.n_iter, start=row.start).waveform
    if row.method == "default":
        inverter = tmi.MelInverter(convention)
    else:
        magnitude, _, phase = row.method.rpartition("+")
        how = VARIANTS.get(phase, phase)
        inverter = tmi.MelInverter(convention, magnitude or "entropic", how, row.n_iter, start=row.start)
    return lambda mel, _: inverter(mel)


def _joint(row: Row, convention: MelConvention) -> Method:
    form, weight = JOINT[row.method]
    start, n_iter = row.start, row.n_iter
    return lambda mel, _: joint_forms.joint(form, weight, functional.expand(mel, convention.level), convention, n_iter, start)
