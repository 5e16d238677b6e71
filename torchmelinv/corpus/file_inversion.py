"""Mel files to audio files: skip mels of an earlier run, invert the rest, write in threads.

The content of an output depends neither on its batch nor on the number of processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Collection, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from torchmelinv._utils.options import named_options
from torchmelinv.conventions import MfccConvention
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.corpus.manifest import Manifest
from torchmelinv.corpus.manifest_entry import ManifestEntry
from torchmelinv.corpus.output_level import OutputLevel, default_level
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.prefetching import prefetch
from torchmelinv.errors import DiskError, FileError, TorchmelinvError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import write_audio

__all__ = ["Outcome", "invert_files", "split_tasks"]

_WRITERS = 4  # threads
_MAX_PENDING_WRITES = 16


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome for one mel. With an error, nothing was written.

    Args:
        input: Path of the mel file, and the name of the mel in a file of many.
        output: Path of the audio file; None with an error.
        index: Index of the mel in its file.
        count: Number of mels in the file. The channels of one recording are one mel.
        others: Number of these mels that other ranks invert.
        n_frames: Number of frames of the mel.
        n_channels: Number of channels of the audio.
        seconds: Duration of the audio.
        peak: Largest absolute sample before scaling.
        gain_db: Scaling in dB: below 0 if the waveform was scaled down to fit an integer format,
            and any number if it was brought to a level.
        mel_error_db: Distance in dB between the linear mel of the waveform and the linear mel after
            its restoration.
        restored: Whether the restoration changed the mel.
        warnings: Doubts about the values of the mel.
        error: The reason why there is no output.
        skipped: Done by an earlier run.

    Example:
        >>> from torchmelinv.corpus import Outcome
        >>> Outcome("a.npy", error="not enough memory").output is None
        True
    """

    input: str
    output: str | None = None
    index: int = 0
    count: int = 1
    others: int = 0
    n_frames: int = 0
    n_channels: int = 1
    seconds: float = 0.0
    peak: float = 0.0
    gain_db: float = 0.0
    mel_error_db: float = math.nan
    restored: bool = False
    warnings: tuple[str, ...] = ()
    error: str | None = None
    skipped: bool = False


# Fields that a manifest keeps.
_KEPT_FIELDS = (
    "n_frames",
    "n_channels",
    "seconds",
    "peak",
    "gain_db",
    "mel_error_db",
    "restored",
    "warnings",
)


def _has_valid_info(info: dict[str, Any]) -> bool:
    """Return whether the values are those that `invert_files` writes; manifests are untrusted."""
    counts, warnings = (info["n_frames"], info["n_channels"]), info["warnings"]
    finite = (info[name] for name in ("seconds", "peak", "gain_db"))
    return (
        all(type(count) is int and 0 <= count < 2**53 for count in counts)
        and isinstance(info["mel_error_db"], float)
        and isinstance(info["restored"], bool)
        and all(isinstance(value, float) and math.isfinite(value) for value in finite)
        and isinstance(warnings, list)
        and all(isinstance(warning, str) for warning in warnings)
    )


def _earlier_outcome(task: Task, entry: ManifestEntry) -> Outcome | None:
    """Return the outcome that an entry describes, None if the entry is not valid."""
    info: dict[str, Any] = {name: entry.info.get(name) for name in _KEPT_FIELDS}
    if info["mel_error_db"] is None:
        info["mel_error_db"] = math.nan
    if not _has_valid_info(info):
        return None
    info["warnings"] = tuple(info["warnings"])
    output, others = task.output_path(entry.index, entry.count), task.n_others(entry.count)
    place = (entry.index, entry.count, others)
    return Outcome(task.name, str(output), *place, skipped=True, **info)


def split_tasks(
    tasks: Iterable[Task], n_mels: int, manifest: Manifest | None = None
) -> tuple[list[Outcome], list[Task]]:
    """Split the mels of tasks into those that an earlier run has done and the remaining ones.

    Args:
        tasks: All tasks.
        n_mels: Number of mel bands, or of MFCCs.
        manifest: The open manifest of the output folder.

    Returns:
        Outcomes of the earlier run, and the tasks with remaining mels, longest first, so that too
        little memory shows at once. Tasks of unknown length come before all others.

    Example:
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Task, split_tasks
        >>> skipped, remaining = split_tasks([Task(Path("a.wav"), Path("a.npy"))], n_mels=80)
        >>> len(skipped), len(remaining)
        (0, 1)
    """
    skipped: list[Outcome] = []
    remaining: list[Task] = []
    for task in tasks:
        entries = manifest.done_entries(task) if manifest else []
        own = [entry for entry in entries if entry.index in task.indices(entry.count)]
        outcomes = [each for each in (_earlier_outcome(task, entry) for entry in own) if each]
        skipped += outcomes
        if not outcomes or len(outcomes) < outcomes[0].count - outcomes[0].others:
            done = frozenset((each.index, each.count) for each in outcomes)
            rest = task.with_n_frames(n_mels)
            n_frames = rest.n_frames - sum(each.n_channels * each.n_frames for each in outcomes)
            least = min(rest.n_frames, 1)  # 0 means unknown
            remaining.append(rest._replace(n_frames=max(n_frames, least), done=done))
    return skipped, sorted(remaining, key=lambda task: -(task.n_frames or math.inf))


@dataclasses.dataclass
class _Writer:
    """Writes results and enters them in the manifest; keeps the error of a disk that is full."""

    sample_rate: float
    subtype: str | None
    manifest: Manifest | None
    taken: Collection[Path]
    level: OutputLevel | None = None
    disk_error: DiskError | None = None

    def write(self, result: Inverted) -> Outcome | None:
        """Write a result; None if the disk is full. Runs in threads."""
        task, status = result.name
        outcome = Outcome(
            task.name,
            None,
            result.index,
            result.count,
            0 if result.error else task.n_others(result.count),
            result.n_frames or task.n_frames,
            warnings=result.warnings,
            error=result.error,
        )
        if result.waveform is None:
            return outcome
        try:
            return self._write(outcome, result, task, status)
        except DiskError as error:
            self.disk_error = error
            return None
        except (TorchmelinvError, OSError) as error:
            return dataclasses.replace(outcome, error=str(error))

    def _write(
        self, outcome: Outcome, result: Inverted, task: Task, status: os.stat_result | None
    ) -> Outcome:
        assert result.waveform is not None
        path = task.output_path(result.index, result.count)
        if path != task.target and path in self.taken:
            raise FileError(
                f"{path}, the output of one of its {result.count} mels, is also the output of "
                "another file; invert the two separately"
            )
        staging = self.manifest.staging if self.manifest else None
        gain = self.level.gain(result.waveform, self.sample_rate) if self.level else 1.0
        waveform = result.waveform if gain == 1 else gain * result.waveform
        written = write_audio(path, waveform, self.sample_rate, self.subtype, staging=staging)
        done = dataclasses.replace(
            outcome,
            output=str(path),
            n_channels=math.prod(result.waveform.shape[:-1]),
            seconds=result.waveform.shape[-1] / self.sample_rate,
            mel_error_db=result.mel_error_db,
            restored=result.restored,
            peak=float(result.waveform.abs().max()),
            gain_db=written.gain_db + 20 * math.log10(gain),
        )
        if self.manifest and status:
            info = {name: getattr(done, name) for name in _KEPT_FIELDS}
            self.manifest.add(task, status, result.index, result.count, info)
        return done


@named_options
def invert_files(
    tasks: Iterable[Task],
    inverter: MelInverter,
    *,
    device: torch.device | str = "cpu",
    batch: int | None = None,
    memory: float | None = None,
    mfcc: MfccConvention | None = None,
    subtype: str | None = None,
    manifest: Manifest | None = None,
    level: OutputLevel | None = None,
    taken: Collection[Path] = (),
) -> Generator[Outcome, None, None]:
    """Invert mel files and write audio files.

    If the caller stops early, all files that were written are complete and in the manifest. If the
    disk is full, the job ends at once in the same state.

    Args:
        tasks: Mel files and their outputs, from `plan`.
        inverter: The inverter; it is not changed. If its `channels` is True, a file (channels,
            n_mels, n_frames) becomes one audio file, as in `invert_many`.
        device: Where mels are inverted.
        batch: Most mels in a batch, as in `invert_many`.
        memory: Bytes that a batch may take, as in `invert_many`.
        mfcc: Convention of MFCCs, if the files hold those, as in `invert_many`.
        subtype: Sample format, as in `write_audio`.
        manifest: The open manifest of the output folder; written files are entered in it.
        level: Level of the audio. Default: that of the mels, or `default_level` for a convention
            that keeps none.
        taken: Outputs of all tasks, of other ranks too. A numbered output must not be among them.

    Returns:
        A generator of an `Outcome` for each mel, as it is written, and for each file that cannot be
        read. It raises `DiskError` if the disk is full or read-only.

    Raises:
        InputError: If `batch` or `memory` is below 1.

    Example:
        >>> import tempfile, torch, torchmelinv as tmi
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Manifest, inversion_settings, invert_files, plan
        >>> from torchmelinv.corpus import split_tasks
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> def run(folder):
        ...     tasks = plan([folder / "mels"], folder / "out")
        ...     with Manifest(folder / "out", inversion_settings(inverter)) as manifest:
        ...         skipped, remaining = split_tasks(tasks, 80, manifest)
        ...         new = list(invert_files(remaining, inverter, manifest=manifest))
        ...     return len(skipped), len(new)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "mels").mkdir()
        ...     torch.save(torch.full((80, 20), -11.5), Path(folder, "mels", "a.pt"))
        ...     run(Path(folder)), run(Path(folder))
        ((0, 1), (1, 0))
    """

    def sources() -> Iterator[tuple[tuple[Task, os.stat_result | None], Task]]:
        for task in tasks:
            try:
                status = task.source.stat()
            except OSError:  # reading the file gives the reason
                status = None
            yield (task, status), task

    results = invert_many(sources(), inverter, device=device, batch=batch, memory=memory, mfcc=mfcc)
    level = level or default_level(inverter.convention)
    writer = _Writer(inverter.convention.sample_rate, subtype, manifest, taken, level)
    return _write_all(results, writer)


def _write_all(
    results: Generator[Inverted, None, None], writer: _Writer
) -> Generator[Outcome, None, None]:
    """Write results as they come, until the disk is full."""

    def wanted() -> Iterator[Inverted]:
        for result in results:
            if writer.disk_error:
                return
            yield result

    with contextlib.closing(results):
        outcomes = prefetch(
            writer.write, wanted(), workers=_WRITERS, max_pending=_MAX_PENDING_WRITES
        )
        with contextlib.closing(outcomes):
            for outcome in outcomes:
                if outcome is not None:
                    yield outcome
    if writer.disk_error:
        raise writer.disk_error
