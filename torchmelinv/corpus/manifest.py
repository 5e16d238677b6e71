"""The record of a job in its output folder, so that it is resumable after interruption.

Each rank appends one JSON line per audio file to its own ``manifest-<rank>.jsonl``, after the audio
has got its name. A job reads the manifests of all ranks. A line counts if source, audio and
settings are still the same; mels without such a line are inverted again. A line that was cut, by a
kill or a full disk, is ignored, and so are links, pipes and devices in place of a manifest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torchmelinv._utils.text import plain
from torchmelinv.corpus.checksums import Checksums
from torchmelinv.corpus.locking import lock_file
from torchmelinv.corpus.manifest_entry import FileStamp, ManifestEntry
from torchmelinv.corpus.manifest_index import ManifestIndex
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import SINGLE_PROCESS, World
from torchmelinv.corpus.staging import Staging, manifest_path
from torchmelinv.errors import FileError
from torchmelinv.invert import MelInverter
from torchmelinv.io.disk_errors import write_error
from torchmelinv.io.plain_files import open_descriptor

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
    exactly one rank. Those of a rank that another job has started stay.

    Args:
        folder: The output folder.
        settings: Settings of the job, from `inversion_settings`.
        world: The process.

    Attributes:
        folder: The output folder.
        staging: Folder for audio files that are being written.
        settings: Digest of the settings.

    Raises:
        FileError: On entering, if a manifest cannot be read or written, or another process has
            opened it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Manifest, Task
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Manifest(Path(folder), {"version": "1"}) as manifest:
        ...         manifest.done_entries(Task(Path(folder, "a.wav"), Path("a.npy")))
        []
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], world: World = SINGLE_PROCESS
    ) -> None:
        self.folder, self._staging = folder, Staging(folder, world)
        self.staging = self._staging.path
        self._path = manifest_path(folder, world.rank)
        self._prefix = (folder / "x").as_posix()[:-1]
        text = json.dumps(plain(settings), sort_keys=True)
        self.settings = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._header = _encode({"settings": self.settings, "setting_values": plain(settings)})
        self._lock = threading.Lock()
        self._index = ManifestIndex(self.settings)
        self._checksums = Checksums()
        self._descriptor = -1
        self._cut = False  # the last line in the file has no end

    def __enter__(self) -> Manifest:
        path = self._path
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():  # nothing is written outside the folder
                path.unlink()
            self._staging.make_way()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            self._descriptor = open_descriptor(path, flags, follow=False)
            if lock_file(self._descriptor) is False:
                raise FileError(
                    f"{path} is in use by another process; wait for it, or give another output "
                    "folder"
                )
            self._read_entries()
        except OSError as error:
            self._close()
            raise write_error(path, error) from None
        self._staging.clean(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._staging.remove()
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
        self._close()

    def other_outputs(self, tasks: Iterable[Task]) -> list[str]:
        """Return the audio files of an earlier run whose source is not among those of any task.

        Args:
            tasks: All tasks, of other ranks too.

        Returns:
            Sorted paths relative to the folder.
        """
        targets = (self.relative_name(task.target) for task in tasks)
        names = {entry.output for entry in self._index.of_other_targets(targets)}
        return sorted(
            name
            for name in names
            if ".." not in Path(name).parts and os.path.isfile(self.folder / name)
        )

    def done_entries(self, task: Task) -> list[ManifestEntry]:
        """Return the entries of a task's mels that were done when the manifest was opened.

        What killed runs left half-written beside its output is removed.

        Args:
            task: The task.

        Returns:
            Entries in the order of the mels, of which the source has equally many by all entries.
        """
        self._staging.clean(task.target.parent)
        valid: dict[int, ManifestEntry] = {}
        source = os.path.abspath(task.source)
        for entry in self._index.of_target(self.relative_name(task.target)):
            output = self.relative_name(task.output_path(entry.index, entry.count))
            if (
                entry.output == output
                and entry.index not in valid
                and entry.input_stamp.matches(
                    task.source, ignore_time=entry.input != source, checksum=self._checksums
                )
                and entry.output_stamp.matches(self.folder / entry.output)
            ):
                valid[entry.index] = entry
        same_count = len({entry.count for entry in valid.values()}) == 1
        return [valid[index] for index in sorted(valid)] if same_count else []

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
            FileError: If the manifest cannot be written.
            DiskError: If the disk is full.
        """
        output = task.output_path(index, count)
        stamp = FileStamp.from_file(task.source, self._checksums)
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
        return path.as_posix().removeprefix(self._prefix)  # `relative_to` takes three times as long

    def _read_entries(self) -> None:
        """Read the manifests of all ranks; end the last line and add the header in that of this."""
        has_header = False
        for line in self._index.add(self._path, self._descriptor):
            has_header |= line == self._header[:-1]
        size = os.fstat(self._descriptor).st_size
        if size and os.lseek(self._descriptor, -1, os.SEEK_END) >= 0:
            self._cut = os.read(self._descriptor, 1) != b"\n"
        if not has_header:
            self._write(self._header)
        for path in sorted(self.folder.glob("manifest-*.jsonl")):
            if path == self._path:
                continue
            try:
                descriptor = open_descriptor(path, follow=False)
            except OSError as error:
                if isinstance(error, FileError) or error.errno in (errno.ELOOP, errno.ENOENT):
                    continue  # no plain file
                raise FileError(
                    f"{path} cannot be read: {error.strerror}; make it readable, or give another "
                    "output folder"
                ) from None
            try:
                deque(self._index.add(path, descriptor), maxlen=0)
            finally:
                os.close(descriptor)

    def _write(self, line: bytes) -> None:
        with self._lock:
            line = b"\n" * self._cut + line
            try:
                written = os.write(self._descriptor, line)
                self._cut = written < len(line) and (written > 0 or self._cut)
                if written < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise write_error(self._path, error) from None

    def _close(self) -> None:
        self._index.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)  # releases the lock
            self._descriptor = -1


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"
