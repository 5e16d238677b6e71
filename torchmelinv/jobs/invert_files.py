"""Many mel files into audio files: what is done already is left, the rest is inverted as a stream and written behind it.

What a file becomes depends neither on its batch nor on the number of processes that share the work.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from torchmelinv.conventions import MfccConvention
from torchmelinv.errors import FileError, TorchmelinvError
from torchmelinv.files import write_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.ahead import ahead
from torchmelinv.jobs.invert_many import Inverted, invert_many
from torchmelinv.jobs.manifest import Entry, Manifest
from torchmelinv.jobs.plan import Task

_WRITERS = 4  # threads
_WRITING = 16  # waveforms that may wait for them


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one mel; where `error` stands, nothing was written."""

    input: str
    output: str | None = None
    index: int = 0  # among the mels of its file
    count: int = 1
    frames: int = 0
    seconds: float = 0.0
    peak: float = 0.0  # of the waveform, before `gain_db`
    gain_db: float = 0.0  # below 0 where the waveform was scaled down to fit an integer format
    mel_error_db: float = math.nan  # of the waveform's own mel against the mel that came, both linear
    warnings: tuple[str, ...] = ()
    error: str | None = None
    before: bool = False  # an earlier run did it


_FACTS = ("frames", "seconds", "peak", "gain_db", "mel_error_db", "warnings")  # that a manifest keeps


def _told(task: Task, entry: Entry) -> Outcome | None:
    """The outcome that an entry tells of; None where its facts are not what `invert_files` wrote."""
    facts: dict[str, Any] = {name: entry.facts.get(name) for name in _FACTS}
    facts["mel_error_db"] = math.nan if facts["mel_error_db"] is None else facts["mel_error_db"]
    floats = ("seconds", "peak", "gain_db")
    good = type(facts["frames"]) is int and 0 <= facts["frames"] < 2**53 and isinstance(facts["mel_error_db"], float)
    good = good and all(isinstance(facts[name], float) and math.isfinite(facts[name]) for name in floats)
    if not good or not isinstance(facts["warnings"], list) or not all(isinstance(word, str) for word in facts["warnings"]):
        return None
    facts["warnings"] = tuple(facts["warnings"])
    return Outcome(str(task.source), str(task.numbered(entry.index, entry.count)), entry.index, entry.count, before=True, **facts)


def divide(tasks: Iterable[Task], n_mels: int, manifest: Manifest | None = None) -> tuple[list[Outcome], list[Task]]:
    """What an earlier run did, by an open manifest, and the tasks that are left: measured, and the longest first, so that too
    little memory shows at once.
    """
    before: list[Outcome] = []
    left: list[Task] = []
    for task in tasks:
        outcomes = [_told(task, entry) for entry in (manifest.done(task) if manifest else [])]
        if not outcomes or None in outcomes:
            left.append(task.measured(n_mels))
        else:
            before += [outcome for outcome in outcomes if outcome]
    return before, sorted(left, key=lambda task: -(task.frames or math.inf))  # broken ones show themselves at once


def invert_files(
    tasks: Iterable[Task], inverter: MelInverter, *, device: torch.device | str = "cpu", batch: int | None = None,
    memory: float | None = None, mfcc: MfccConvention | None = None, subtype: str | None = None, manifest: Manifest | None = None,
    taken: Collection[Path] = (),
) -> Generator[Outcome, None, None]:
    """Invert every task's file and write it: an `Outcome` for each mel or broken file as it is written.

    `batch`, `memory` and `mfcc` are those of `invert_many`. `taken`: targets of all tasks, other ranks' too, which no numbered
    output may take. Whoever stops early finds whole files, and those in the open `manifest`.
    """
    rate = inverter.convention.sample_rate

    def seen() -> Iterator[tuple[tuple[Task, os.stat_result | None], Path]]:
        for task in tasks:
            try:
                status = task.source.stat()
            except OSError:  # reading it will say why
                status = None
            yield (task, status), task.source

    def write(made: Inverted) -> Outcome:
        task, status = made.name
        target, outcome = task.numbered(made.index, made.count), Outcome(str(task.source), None, made.index, made.count)
        outcome = dataclasses.replace(outcome, frames=made.frames or task.frames, warnings=made.warnings, error=made.error)
        if made.waveform is None:
            return outcome
        try:
            if target != task.target and target in taken:
                raise FileError(f"{target}, one of its {made.count} mels, is where another file goes; invert the two apart")
            written = write_audio(target, made.waveform, rate, subtype, staging=manifest.staging if manifest else None)
            seconds, error_db = made.waveform.shape[-1] / rate, made.mel_error_db
            done = dataclasses.replace(outcome, output=str(target), seconds=seconds, mel_error_db=error_db, **written._asdict())
            if manifest and status:
                manifest.add(task, status, made.index, made.count, {name: getattr(done, name) for name in _FACTS})
            return done
        except (TorchmelinvError, OSError) as error:
            return dataclasses.replace(outcome, error=str(error))

    stream = invert_many(seen(), inverter, device=device, batch=batch, memory=memory, mfcc=mfcc)
    yield from ahead(write, stream, workers=_WRITERS, most=_WRITING)
