"""The rows of the quality tables: a method, its initial phase, its iterations, and the mel.

A method is `mel_consistent`, one of its variants, `<magnitude>+<phase>` for a cascade
(`true+<phase>` where the magnitude is that of the recording), a published joint form, a peer
library, or `default`: `MelInverter(convention)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

import torchmelinv as tmi
from benchmarks import peers
from benchmarks.joint_forms import InertialPALM, ProximalADMM, reconstruct_jointly
from benchmarks.mels import CONVENTIONS, MELS, mel_spectrogram
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.reconstruct import reconstruct
from torchmelinv.phases import ADMM, GriffinLim, MelConsistent, PhaseMethod
from torchmelinv.transforms.compression import decompress

Method = Callable[[Tensor, Tensor], Tensor]  # (mel as the model made it, the recording) -> waveform
ITERATIONS = (0, 10, 32, 100, 300)
INITS = ("random", "zero", "spsi", "pghi")
TRUE_CONVENTIONS = ("hifigan_22k", "hifigan_22k_512")  # for the rows with the true magnitude
# An iteration of RTISI-LA is one of each frame and its neighbors; an iteration of LWS costs as much
# as ten of other methods.
MOST_ITERATIONS = {"rtisi_la": 32, "lws": 100}
RELATIVE_COST = {"rtisi_la": 30.0, "lws": 8.0}  # of an iteration, for the estimate of the time


class Row(NamedTuple):
    """One waveform for each clip."""

    mel: str  # one of `MELS`
    method: str
    init: str
    n_iter: int

    @property
    def key(self) -> str:
        return "/".join(map(str, self))

    @property
    def cost(self) -> float:
        """Seconds of one thread for 5 s of sound, roughly."""
        if self.method in peers.PEERS:
            return 1.5 if self.method == "librosa" else 0.3
        per_iteration = 0.003 * RELATIVE_COST.get(self.method.split("+")[-1], 1.0)
        return 0.03 + (0.1 if self.init == "pghi" else 0) + per_iteration * self.n_iter


def parse_row(key: str) -> Row:
    """Return the row of a key."""
    mel, method, init, n_iter = key.split("/")
    return Row(mel, method, init, int(n_iter))


VARIANTS: dict[str, MelConsistent] = {
    "mel_consistent:griffin_lim": MelConsistent(GriffinLim(0.99)),
    "mel_consistent:admm": MelConsistent(ADMM()),
    "mel_consistent:inner_iter=1": MelConsistent(inner_iter=1),
    "mel_consistent:inner_iter=3": MelConsistent(inner_iter=3),
    "mel_consistent:damping=0.5": MelConsistent(damping=0.5),
}
PUBLISHED: dict[str, PhaseMethod] = {
    "published:ipalm": InertialPALM(),
    "published:admm": ProximalADMM(),
}
_DEFAULT = tmi.MelInverter("hifigan_22k")
DEFAULT = Row("clean", "default", _DEFAULT.init, _DEFAULT.n_iter)
CASCADE = "entropic+fast_griffin_lim"


def magnitude_phases() -> list[str]:
    """Return the phase methods that need no mel."""
    return [name for name, method in PHASES.items() if not issubclass(method, MelConsistent)]


def iterations(phase: str, counts: tuple[int, ...] = ITERATIONS) -> list[int]:
    """Return those of the counts that a phase method runs with; RTISI-LA needs at least one."""
    least, most = int(phase == "rtisi_la"), MOST_ITERATIONS.get(phase, max(counts))
    return [n_iter for n_iter in counts if least <= n_iter <= most]


def comparison(convention: str) -> list[Row]:
    """Return the rows of all clips and conventions: our defaults, the cascades and the peers."""
    rows = [DEFAULT]
    for phase in sorted(_joint_phases()):  # the default first
        rows += [Row("clean", phase, "pghi", n_iter) for n_iter in ITERATIONS]
        rows += [Row(mel, phase, "pghi", n_iter) for mel in MELS[1:] for n_iter in (32, 100)]
    rows += [Row(mel, CASCADE, "random", n_iter) for mel in MELS for n_iter in (32, 100)]
    rows += [Row("clean", "entropic+raar", "pghi", 32)]
    rows += [Row(mel, "entropic+raar", "pghi", 100) for mel in MELS]
    rows += [Row(mel, "librosa", "random", 32) for mel in MELS]
    rows += [
        Row("clean", "torchaudio", "random", 32),
        Row("clean", "true+fast_griffin_lim", "random", 100),
        Row("clean", "true+raar", "pghi", 100),
    ]
    if convention in ("hifigan_22k", "librosa_melspectrogram"):
        rows += [Row("clean", peer, "random", 100) for peer in peers.PEERS]
    return rows


def all_methods() -> list[Row]:
    """Return every phase method with every initial phase, every magnitude, and all joint forms."""
    rows = []
    for phase in PHASES:
        name = phase if phase in _joint_phases() else f"entropic+{phase}"
        rows += [Row("clean", name, init, n) for init in INITS for n in iterations(phase)]
    rows += [Row("clean", f"{name}+fast_griffin_lim", "random", 32) for name in MAGNITUDES]
    for name in (*VARIANTS, *PUBLISHED):
        rows += [Row("clean", name, init, n) for init in ("random", "pghi") for n in (32, 100, 300)]
    return list(dict.fromkeys(rows))


def true_magnitude() -> list[Row]:
    """Return the phase methods with initial phases, given the true magnitude."""
    rows = []
    for phase in magnitude_phases():
        counts = iterations(phase, ITERATIONS[: 2 if phase == "rtisi_la" else 4])
        inits = [init for init in INITS if init != "zero"]
        rows += [Row("clean", f"true+{phase}", init, n) for init in inits for n in counts]
    return [*rows, Row("clean", "true+fast_griffin_lim", "random", 40)]


def _joint_phases() -> list[str]:
    return [name for name in PHASES if name not in magnitude_phases()]


def method(row: Row, name: str) -> Method:
    """Return the method of a row for mels of a convention.

    Raises ValueError or RuntimeError where a peer cannot invert these mels.
    """
    convention = CONVENTIONS[name]
    if row.method in peers.PEERS:
        invert = peers.inverter(row.method, convention, row.n_iter)
        return lambda mel, _: invert(decompress(mel, convention.level))
    if row.method in PUBLISHED:
        form = PUBLISHED[row.method]
        return lambda mel, _: reconstruct_jointly(
            form, decompress(mel, convention.level), convention, row.n_iter, row.init
        )
    if row.method.startswith("true+"):
        phase, stft = PHASES[row.method.split("+")[1]](), mel_spectrogram(name).stft
        return lambda _, clip: (
            reconstruct(phase, stft(clip).abs(), stft, row.n_iter, init=row.init).waveform
        )
    if row.method == "default":
        inverter = tmi.MelInverter(convention)
    else:
        magnitude, _, phase_name = row.method.rpartition("+")
        phase = VARIANTS.get(phase_name, phase_name)
        # Methods are compared on the same mels; `benchmarks.predicted` measures the restoration.
        options = {"init": row.init, "restore": "none"}
        inverter = tmi.MelInverter(
            convention, magnitude or "entropic", phase, row.n_iter, **options
        )
    return lambda mel, _: inverter(mel)
