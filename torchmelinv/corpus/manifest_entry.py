"""Lines of a manifest. Manifests are untrusted input: a line that is not valid is ignored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchmelinv._utils.text import unique_keys
from torchmelinv.corpus.checksums import sha256_of

_MOST_MELS = 2**53  # of a source
_START = b'{"target": "'  # of each line


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
    def from_file(cls, path: Path, checksum: Callable[[Path], str] = sha256_of) -> FileStamp:
        """Make the stamp of an existing file.

        Args:
            path: The file.
            checksum: Returns the checksum of a file.

        Returns:
            Its stamp.
        """
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, checksum(path))

    def matches(
        self,
        path: Path,
        *,
        ignore_time: bool = False,
        checksum: Callable[[Path], str] = sha256_of,
    ) -> bool:
        """Return whether a file is unchanged: the same size, and the same time or content.

        Args:
            path: The file; it may be missing.
            ignore_time: Compare the content even if the time is the same.
            checksum: Returns the checksum of a file.

        Returns:
            True if the file is unchanged.
        """
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            same_time = status.st_mtime_ns == self.time and not ignore_time
            return same_time or checksum(path) == self.sha256
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
            line: The line; it may be damaged, or follow one that was cut, without a line break.

        Returns:
            The entry, or None if the line does not hold one.
        """
        start = line.rfind(_START)
        try:
            values = json.loads(_text(line[max(start, 0) :]), object_pairs_hook=unique_keys)
            stamps = {name: FileStamp(**values[name]) for name in ("output_stamp", "input_stamp")}
            entry = cls(**{**values, **stamps})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        records = (entry, entry.output_stamp, entry.input_stamp)
        valid = (
            all(map(_has_declared_types, records)) and 0 <= entry.index < entry.count <= _MOST_MELS
        )
        return entry if valid else None


def read_target(line: bytes) -> str | None:
    """Return the target of a line's entry; parse no more than that of the lines that we write.

    Args:
        line: The line, as for `ManifestEntry.from_line`.

    Returns:
        The target, or None if the line does not hold an entry. The rest may still be damaged.
    """
    start = line.rfind(_START)
    if start < 0:
        entry = ManifestEntry.from_line(line)
        return entry.target if entry else None
    try:
        return str(_DECODER.raw_decode(_text(line[start + len(_START) - 1 :]))[0])
    except ValueError:
        return None


_DECODER = json.JSONDecoder()


def _text(line: bytes) -> str:
    """Decode a line; names that are not UTF-8 are written as they are."""
    return line.decode(errors="surrogateescape")


_TYPES = {"int": int, "str": str, "FileStamp": FileStamp, "dict[str, Any]": dict}


def _has_declared_types(record: Any) -> bool:
    return all(
        type(getattr(record, field.name)) is _TYPES[str(field.type)]
        for field in dataclasses.fields(record)
    )
