"""What a folder of audio was made of, so that a job that was killed goes on where it stood.

Each rank appends one JSON line a file to its own `manifest-<rank>.jsonl`, after the audio has its name; all ranks' are read. A
line counts if source, audio and settings are still what it says, so whatever happened between two runs, a file that has such a
line is done and any other is made again. A line that was cut, by a kill or a full disk, counts as none.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchmelinv.errors import FileError
from torchmelinv.invert import MelInverter
from torchmelinv.jobs.console import plain
from torchmelinv.jobs.plan import Task
from torchmelinv.jobs.shard import ALONE, World


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A file as it was."""

    size: int
    time: int  # of its last change, in nanoseconds
    sha256: str

    def holds(self, path: Path, *, moved: bool = False) -> bool:
        """Whether that file is still the same: same size and time, or same size and content; where it has `moved`, the latter."""
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            return (not moved and status.st_mtime_ns == self.time) or _sha256(path) == self.sha256
        except OSError:
            return False


def stamp(path: Path) -> Stamp:
    """The stamp of a file that is there."""
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_TYPES = {"int": int, "str": str, "Stamp": Stamp, "dict[str, Any]": dict}


def _as_declared(record: Stamp | Entry) -> bool:
    return all(type(getattr(record, field.name)) is _TYPES[str(field.type)] for field in dataclasses.fields(record))


@dataclasses.dataclass(frozen=True)
class Entry:
    """One audio file that is done."""

    target: str  # of its task, below the folder
    output: str  # its own name below the folder: another one where the source holds several mels
    made: Stamp
    input: str
    source: Stamp
    settings: str  # digest
    index: int  # among the mels of its source
    count: int
    facts: dict[str, Any]  # about the waveform, for a report

    @classmethod
    def from_line(cls, line: bytes) -> Entry | None:
        """What a line says, or None if it is not whole or says something else."""
        try:
            values = json.loads(line)
            entry = cls(**{**values, "made": Stamp(**values["made"]), "source": Stamp(**values["source"])})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        declared = _as_declared(entry) and _as_declared(entry.made) and _as_declared(entry.source)
        return entry if declared and 0 <= entry.index < entry.count else None


def settings(inverter: MelInverter, **more: str) -> dict[str, Any]:
    """All that decides what a mel becomes, apart from device and rounding; `more` is the version and the form of the files."""
    return {**more, "inverter": inverter.extra_repr(), "convention": inverter.convention.to_dict()}


class Manifest:
    """The manifests of a folder, read, and this rank's own, open for appending while the object is a context.

    One process at a time may hold a rank's manifest (where the file system has locks). `staging` is the folder for audio that is
    being written; what killed runs left there, of any rank, is removed by the one rank that it falls to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], world: World = ALONE) -> None:
        self.folder, self.staging = folder, folder / f".staging-{world.rank}"
        text = json.dumps(plain(settings), sort_keys=True)
        self.settings = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._world, self._header = world, {"settings": self.settings, "stands_for": plain(settings)}
        self._lock = threading.Lock()
        self._known: dict[str, list[Entry]] = {}
        self._descriptor = -1

    def __enter__(self) -> Manifest:
        path = self.folder / f"manifest-{self._world.rank}.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove_links(path, self.staging)
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            _hold(self._descriptor, path)
            self._read()
            own = path.read_bytes()
            if own and not own.endswith(b"\n"):
                self._write(b"\n")  # ends the line that was cut
            if _line(self._header) not in own:
                self._write(_line(self._header))
        except OSError as error:
            self._close()
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path} cannot be written: {error.strerror or error}") from None
        for left in self.folder.glob(".staging-*"):
            rank = left.name.removeprefix(".staging-")
            if rank.isdecimal() and int(rank) % self._world.size == self._world.rank:
                shutil.rmtree(left, ignore_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
        self._close()

    def done(self, task: Task) -> list[Entry]:
        """The entries of every mel of a task's source, in order, if all of it is done; else none. To be asked once a task."""
        good: dict[int, Entry] = {}
        here = os.path.abspath(task.source)
        for entry in self._known.pop(self.name(task.target), []):
            same = entry.source.holds(task.source, moved=entry.input != here)
            own = entry.output == self.name(task.numbered(entry.index, entry.count))
            if own and entry.index not in good and same and entry.made.holds(self.folder / entry.output):
                good[entry.index] = entry
        complete = bool(good) and all(len(good) == entry.count for entry in good.values())
        return [good[index] for index in sorted(good)] if complete else []

    def add(self, task: Task, seen: os.stat_result, index: int, count: int, facts: Mapping[str, Any]) -> None:
        """Say that a file is done, once it has its name. `seen`: the source's status before it was read. For any thread."""
        source, output = stamp(task.source), task.numbered(index, count)
        if (source.size, source.time) != (seen.st_size, seen.st_mtime_ns):
            return  # it has changed on the way, and the next run makes it again
        names, here = (self.name(task.target), self.name(output)), os.path.abspath(task.source)
        entry = Entry(*names, stamp(output), here, source, self.settings, index, count, plain(facts))
        self._write(_line(dataclasses.asdict(entry)))

    def name(self, path: Path) -> str:
        """A path below the folder, the same on every system."""
        return path.relative_to(self.folder).as_posix()

    def _read(self) -> None:
        for path in sorted(self.folder.glob("manifest-*.jsonl")):
            with path.open("rb") as lines:
                for entry in map(Entry.from_line, lines):
                    if entry is not None and entry.settings == self.settings:
                        self._known.setdefault(entry.target, []).append(entry)

    def _write(self, line: bytes) -> None:
        with self._lock:
            if os.write(self._descriptor, line) != len(line):
                raise FileError(f"the manifest in {self.folder} cannot be written: the disk is full")

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # and with it the lock
            self._descriptor = -1


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"


def _remove_links(*paths: Path) -> None:
    """What this job writes for itself stays in its folder, whatever somebody has put there."""
    for path in paths:
        if path.is_symlink():
            path.unlink()


def _hold(descriptor: int, path: Path) -> None:
    """Refuse a second process; the system lets go when the first one ends, however that may be."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileError(f"another process is working with {path}; wait for it, or give another output folder") from None
    except (ImportError, OSError):  # this system, or this file system, has no such locks
        return
