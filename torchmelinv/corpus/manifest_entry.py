"""Lines of a manifest. Manifests are untrusted input: a line that is not valid is ignored."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class FileStamp:
    """Size, time and checksum of a file.

    Args:
        size: Size in bytes.
        time: Time of the last change in nanoseconds.
        sha256: Checksum of the content.
    """

    size: int
    time: int
    sha256: str

    @classmethod
    def from_file(cls, path: Path) -> FileStamp:
        """Make the stamp of an existing file.

        Args:
            path: The file.

        Returns:
            Its stamp.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, _sha256(path))

    def matches(self, path: Path, *, ignore_time: bool = False) -> bool:
        """Return whether a file is unchanged: the same size, and the same time or content.

        Args:
            path: The file; it may be missing.
            ignore_time: Compare the content even if the time is the same.

        Returns:
            True if the file is unchanged.
        """
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            same_time = status.st_mtime_ns == self.time and not ignore_time
            return same_time or _sha256(path) == self.sha256
        except OSError:
            return False


@dataclasses.dataclass(frozen=True)
class ManifestEntry:
    """One audio file that is done. Paths of outputs are relative to the output folder.

    Args:
        target: Target of the task.
        output: The audio file: `target`, or a numbered file if the source holds several mels.
        output_stamp: Stamp of the audio file.
        input: Absolute path of the source.
        input_stamp: Stamp of the source.
        settings: Digest of the settings.
        index: Index of the mel in its source.
        count: Number of mels in the source.
        info: Values for a report.
    """

    target: str
    output: str
    output_stamp: FileStamp
    input: str
    input_stamp: FileStamp
    settings: str
    index: int
    count: int
    info: dict[str, Any]

    @classmethod
    def from_line(cls, line: bytes) -> ManifestEntry | None:
        """Parse a line of a manifest.

        Args:
            line: The line; it may be cut or damaged.

        Returns:
            The entry, or None if the line does not hold one.
        """
        try:
            values = json.loads(line)
            stamps = {name: FileStamp(**values[name]) for name in ("output_stamp", "input_stamp")}
            entry = cls(**{**values, **stamps})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        records = (entry, entry.output_stamp, entry.input_stamp)
        valid = all(map(_has_declared_types, records)) and 0 <= entry.index < entry.count
        return entry if valid else None


_TYPES = {"int": int, "str": str, "FileStamp": FileStamp, "dict[str, Any]": dict}


def _has_declared_types(record: Any) -> bool:
    return all(
        type(getattr(record, field.name)) is _TYPES[str(field.type)]
        for field in dataclasses.fields(record)
    )
