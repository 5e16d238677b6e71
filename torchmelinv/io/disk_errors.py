"""Errors of writing: those of one file, and those of a disk that takes no file at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from torchmelinv.errors import DiskError, FileError

_OF_THE_DISK = (errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))


def write_error(path: str | Path, error: OSError) -> FileError:
    """Return our error for a write that failed.

    Args:
        path: The file.
        error: The system's error.

    Returns:
        The error as it is if it is ours; `DiskError` if the disk is full or read-only.
    """
    if isinstance(error, FileError):
        return error
    message = f"{path} cannot be written: {error.strerror or error}"
    if error.errno in _OF_THE_DISK:
        return DiskError(f"{message}; make room, or give another folder, and run it again")
    return FileError(message)


def probe_disk(path: Path) -> None:
    """Write more to a file that a library failed to write.

    If the disk is full, the system says so, which libsndfile and numpy do not.

    Args:
        path: The unfinished file.

    Raises:
        OSError: If the system gives a reason.
    """
    with path.open("ab", buffering=0) as stream:
        for _ in range(64):
            stream.write(bytes(2**16))
        os.fsync(stream.fileno())


def check_writable(path: str | Path) -> None:
    """Refuse, before any work, a file that could not be written. Nothing is created.

    Args:
        path: The file.

    Raises:
        FileError: If its nearest existing folder cannot be written.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise write_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    reason = 0
    if not os.path.isdir(folder):
        reason = errno.ENOTDIR
    elif hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY:
        reason = errno.EROFS
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = errno.EACCES
    if reason:
        raise write_error(path, OSError(reason, os.strerror(reason)))
