"""Paths of files: checks, searches in folders, and writes that leave no partial file.

A write goes to a temporary file that is then renamed: the output path holds either the finished
file or what it held before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchmelinv._utils.warning import warn_caller
from torchmelinv.errors import FileError, FileWarning
from torchmelinv.io.disk_errors import probe_disk, write_error

__all__ = ["atomic_write", "check_exists", "existing_file", "find_files"]


def check_exists(path: Path) -> None:
    """Refuse a path that does not exist."""
    if not os.path.exists(path):  # unlike Path.exists, also for names that no file can have
        raise FileError(f"{path} does not exist")


def existing_file(path: str | Path) -> Path:
    """Return the path of a file, or raise `FileError` if it is not a plain file that exists."""
    path = Path(path)
    if os.path.isdir(path):
        raise FileError(f"{path} is a folder; it must be a file")
    check_exists(path)
    if not os.path.isfile(path):
        raise FileError(f"{path} is a pipe or a device; save it as a file first")
    return path


@contextlib.contextmanager
def atomic_write(path: str | Path, folder: Path | None = None) -> Iterator[Path]:
    """Write a file completely or not at all.

    The temporary file becomes `path` if the block succeeds, and is removed otherwise. Its content
    is flushed to the disk before the renaming, so that not even a power failure leaves a partial
    file.

    Args:
        path: Path of the finished file. Missing folders are created.
        folder: Folder of the temporary file. Default: that of `path`. If it is on another disk, the
            file is copied into a folder of the same name beside `path` before the renaming.

    Yields:
        Path of the temporary file, with the suffix of `path`.

    Raises:
        FileError: If the file cannot be written.
        DiskError: If the disk is full or read-only.
    """
    path = Path(path)
    temporary = (folder or path.parent) / f".{uuid.uuid4().hex}{path.suffix}"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _rename(temporary, path)
    except OSError as error:
        raise write_error(path, _with_reason(error, temporary)) from None
    finally:
        _remove(temporary)


def _with_reason(error: OSError, temporary: Path) -> OSError:
    """Return the system's error if `error` is that of a library, which has no number."""
    if error.errno is None and not isinstance(error, FileError):
        try:
            probe_disk(temporary)
        except OSError as reason:
            return reason
    return error


def _rename(temporary: Path, path: Path) -> None:
    """Flush a file and rename it, through a copy if that leads to another disk."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = path.parent / temporary.parent.name / temporary.name
        copy.parent.mkdir(exist_ok=True)
        try:
            shutil.copyfile(temporary, copy)
            _rename(copy, path)
        finally:
            _remove(copy)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def find_files(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files below a folder that have one of these suffixes, sorted.

    Names that start with a dot are skipped. Links to files count as files, wherever they point.
    Links to folders are not followed, so that no loop of links can trap the search. A warning names
    folders that cannot be read.
    """
    found: list[Path] = []
    unreadable: list[str] = []
    for root, folders, names in os.walk(
        folder, onerror=lambda error: unreadable.append(os.fsdecode(error.filename))
    ):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not os.access(root, os.X_OK):  # its names can be listed, its files not opened
            unreadable.append(root)
        for name in names:
            path = Path(root, name)
            wanted = path.suffix.lower() in suffixes and not name.startswith(".")
            if wanted and os.path.isfile(path):
                found.append(path)
    if unreadable:
        shown = ", ".join(sorted(unreadable)[:3]) + (", …" if len(unreadable) > 3 else "")
        warn_caller(f"folders that cannot be read are left out: {shown}", FileWarning)
    return sorted(found)
