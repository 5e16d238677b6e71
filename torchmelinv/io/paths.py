"""Paths of files: checks, searches in folders, and writes that leave no partial file.

A write goes to a temporary file that is then renamed: the output path holds either the finished
file or what it held before.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from torchmelinv.errors import FileError

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
        folder: Folder of the temporary file, on the same file system. Default: that of `path`.

    Yields:
        Path of the temporary file, with the suffix of `path`.

    Raises:
        FileError: If the file cannot be written.
    """
    path = Path(path)
    temporary = (folder or path.parent) / f".{uuid.uuid4().hex}{path.suffix}"
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def find_files(folder: str | Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files below a folder that have one of these suffixes, sorted.

    Names that start with a dot are skipped. Links to files count as files, wherever they point.
    Links to folders are not followed, so that no loop of links can trap the search.
    """
    folder = Path(folder)
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
