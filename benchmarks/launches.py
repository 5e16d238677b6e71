"""`python -m benchmarks.launches`: what calls ask of a CUDA device, counted without one.

The pretended device counts operations and the waits of the host. Speed it does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import records
from benchmarks.launches_calls import PRESET, Call, calls, mel_of, torchaudio_griffin_lim
from benchmarks.records import Record
from tests.pretended_device import Record as Counts
from tests.pretended_device import pretended_device, recording
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phases import LWS, RTISILA

# Iterations whose difference counts, so that what is done once does not: whole rounds of checks.
FEW, MORE = 4, 12
# LWS and RTISI-LA do not iterate on all frames at once.
ITERATED = [name for name, kind in PHASES.items() if kind not in (LWS, RTISILA)]


def iterations(device: torch.device) -> dict[str, Callable[[int], Any]]:
    """Return calls with a number of iterations, for a short mel: its length does not matter."""
    mel = mel_of(8192, device)
    magnitude = MAGNITUDES["transpose"](mel.exp(), tmi.MelFilterbank(PRESET))

    def invert(name: str, n_iter: int) -> Tensor:
        options = {"init": "zero", "magnitude": "transpose", "restore": "none", "check": False}
        return tmi.MelInverter(PRESET, phase=name, n_iter=n_iter, **options)(mel)

    return {
        **{name: lambda n_iter, name=name: invert(name, n_iter) for name in ITERATED},
        "torchaudio GriffinLim": lambda n_iter: torchaudio_griffin_lim(n_iter, device)(magnitude),
    }


def count(call: Call) -> Counts:
    """Return the record of a call, after one that makes its tables."""
    call()
    with recording() as record:
        call()
    return record


def launches_of_an_iteration(call: Callable[[int], Any]) -> float:
    """Return the mean number of launches of one iteration."""
    few, more = (count(lambda n_iter=n_iter: call(n_iter)).launches for n_iter in (FEW, MORE))
    return (more - few) / (MORE - FEW)


def measure(names: Container[str] | None = None) -> Record:
    """Count the launches and waits of all calls or of some, and the launches of iterations."""
    with pretended_device() as device, torch.inference_mode():
        counts, steps = (
            {name: measured(call) for name, call in cases.items() if not names or name in names}
            for measured, cases in (
                (count, calls(device)),
                (launches_of_an_iteration, iterations(device)),
            )
        )
    return {
        "calls": {
            name: {"launches": each.launches, "waits": each.waits.total()}
            for name, each in counts.items()
        },
        "iterations": steps,
    }


def main() -> None:
    """Count, and write the file and the tables."""
    from benchmarks import tables  # needs librosa; the counts do not

    torch.set_num_threads(1)
    records.save("launches", {"suite": "launches", **records.environment(), **measure()})
    tables.write_pages()


if __name__ == "__main__":
    main()
