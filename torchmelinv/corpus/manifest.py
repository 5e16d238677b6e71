"""The record of a job in its output folder, so that it is resumable after interruption.

Each rank appends one JSON line per audio file to its own ``manifest-<rank>.jsonl``, after the audio
has got its name. A job reads the manifests of all ranks. A line counts if source, audio and
settings are still the same; files without such a line are made again. A line that was cut, by a
kill or a full disk, is ignored.
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

from torchmelinv._utils.text import plain
from torchmelinv.corpus.manifest_entry import FileStamp, ManifestEntry
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import SINGLE_PROCESS, World
from torchmelinv.errors import FileError
from torchmelinv.invert import MelInverter

__all__ = ["Manifest", "inversion_settings"]


def inversion_settings(inverter: MelInverter, **others: str) -> dict[str, Any]:
    """Collect the settings that determine a waveform, apart from device and rounding.

    Args:
        inverter: The inverter.
        **others: Further settings, such as the version and the sample format.

    Returns:
        Settings for `Manifest`.

    Example:
        >>> import torchmelinv as tmi
        >>> from torchmelinv.corpus import inversion_settings
        >>> list(inversion_settings(tmi.MelInverter("hifigan_22k"), subtype="PCM_16"))
        ['subtype', 'inverter', 'convention']
    """
    return {
        **others,
        "inverter": inverter.extra_repr(),
        "convention": inverter.convention.to_dict(),
    }


class Manifest:
    """The manifests of an output folder. A context manager: entering it opens this rank's manifest.

    Only one process at a time may open the manifest of a rank (where the file system has locks).
    Each rank removes the audio files that killed runs left half-written; every such file belongs to
    exactly one rank.

    Args:
        folder: The output folder.
        settings: Settings of the job, from `inversion_settings`.
        world: The process.

    Attributes:
        folder: The output folder.
        staging: Folder for audio files that are being written.
        settings: Digest of the settings.

    Raises:
        FileError: On entering, if the manifest cannot be written or another process has opened it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Manifest, Task
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Manifest(Path(folder), {"version": "1"}) as manifest:
        ...         manifest.pop_entries(Task(Path(folder, "a.wav"), Path("a.npy")))
        []
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], world: World = SINGLE_PROCESS
    ) -> None:
        self.folder, self.staging = folder, folder / f".staging-{world.rank}"
        text = json.dumps(plain(settings), sort_keys=True)
        self.settings = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._header = _encode({"settings": self.settings, "setting_values": plain(settings)})
        self._world = world
        self._lock = threading.Lock()
        self._entries: dict[str, list[ManifestEntry]] = {}  # by target
        self._descriptor = -1

    def __enter__(self) -> Manifest:
        path = self.folder / f"manifest-{self._world.rank}.jsonl"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove_links(path, self.staging)
            self._descriptor = os.open(path, flags, 0o666)
            _lock_file(self._descriptor, path)
            self._read_entries()
            content = path.read_bytes()
            if content and not content.endswith(b"\n"):
                self._write(b"\n")  # ends a line that was cut
            if self._header not in content:
                self._write(self._header)
        except OSError as error:
            self._close()
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path} cannot be written: {error.strerror or error}") from None
        self._remove_leftovers()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
        self._close()

    def pop_entries(self, task: Task) -> list[ManifestEntry]:
        """Return the entries of a task if all its mels are done. Consumes them: call once.

        Args:
            task: The task.

        Returns:
            An entry for each mel of the source, in order, or [] if the task must be done.
        """
        valid: dict[int, ManifestEntry] = {}
        source = os.path.abspath(task.source)
        for entry in self._entries.pop(self.relative_name(task.target), []):
            output = self.relative_name(task.output_path(entry.index, entry.count))
            if (
                entry.output == output
                and entry.index not in valid
                and entry.input_stamp.matches(task.source, ignore_time=entry.input != source)
                and entry.output_stamp.matches(self.folder / entry.output)
            ):
                valid[entry.index] = entry
        complete = bool(valid) and all(len(valid) == entry.count for entry in valid.values())
        return [valid[index] for index in sorted(valid)] if complete else []

    def add(
        self, task: Task, status: os.stat_result, index: int, count: int, info: Mapping[str, Any]
    ) -> None:
        """Enter an audio file that has got its name. Thread-safe.

        A source that has changed since it was read is not entered, so the next run inverts it
        again.

        Args:
            task: The task.
            status: Status of the source before it was read.
            index: Index of the mel in its source.
            count: Number of mels in the source.
            info: Values for a report.

        Raises:
            FileError: If the disk is full.
        """
        stamp, output = FileStamp.from_file(task.source), task.output_path(index, count)
        if (stamp.size, stamp.time) != (status.st_size, status.st_mtime_ns):
            return
        entry = ManifestEntry(
            target=self.relative_name(task.target),
            output=self.relative_name(output),
            output_stamp=FileStamp.from_file(output),
            input=os.path.abspath(task.source),
            input_stamp=stamp,
            settings=self.settings,
            index=index,
            count=count,
            info=plain(info),
        )
        self._write(_encode(dataclasses.asdict(entry)))

    def relative_name(self, path: Path) -> str:
        """Return a path relative to the folder, the same on every system.

        Args:
            path: A path in the folder.

        Returns:
            The relative path, with slashes.
        """
        return path.relative_to(self.folder).as_posix()

    def _read_entries(self) -> None:
        for path in sorted(self.folder.glob("manifest-*.jsonl")):
            with path.open("rb") as lines:
                for entry in map(ManifestEntry.from_line, lines):
                    if entry is not None and entry.settings == self.settings:
                        self._entries.setdefault(entry.target, []).append(entry)

    def _remove_leftovers(self) -> None:
        """Remove the staging folders that belong to this rank."""
        for folder in self.folder.glob(".staging-*"):
            rank = folder.name.removeprefix(".staging-")
            if rank.isdecimal() and int(rank) % self._world.size == self._world.rank:
                shutil.rmtree(folder, ignore_errors=True)

    def _write(self, line: bytes) -> None:
        with self._lock:
            if os.write(self._descriptor, line) != len(line):
                raise FileError(
                    f"the manifest in {self.folder} cannot be written: the disk is full"
                )

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # releases the lock
            self._descriptor = -1


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"


def _remove_links(*paths: Path) -> None:
    """Remove links at the job's own paths, so that nothing is written outside the folder."""
    for path in paths:
        if path.is_symlink():
            path.unlink()


def _lock_file(descriptor: int, path: Path) -> None:
    """Refuse a second process. The system releases the lock when the first one ends."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileError(
            f"{path} is in use by another process; wait for it, or give another output folder"
        ) from None
    except (ImportError, OSError):  # this system, or this file system, has no such locks
        return
