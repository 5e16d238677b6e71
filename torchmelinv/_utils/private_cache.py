"""Files that this package keeps for a user, trusted only if nobody else may have written them.

A cached file may be machine code. It counts if it and its folder are no links, belong to this user
and can be written by nobody else. Otherwise it does not exist, and what it held is made again.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def cache_folder() -> Path | None:
    """Return $TORCHMELINV_CACHE or the package's part of the user's cache folder.

    Returns:
        The folder, which need not exist; None for a user without a home.
    """
    try:
        if folder := os.environ.get("TORCHMELINV_CACHE"):
            return Path(folder).expanduser()
        parent = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not parent.is_absolute():  # such a value does not count, says its specification
            parent = Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return parent / "torchmelinv"


def read_private(path: Path) -> bytes | None:
    """Read a cached file.

    Args:
        path: The file.

    Returns:
        Its content; None if it cannot be read, or others may have written it.
    """
    try:
        return path.read_bytes() if _is_private(path.parent) and _is_private(path) else None
    except OSError:
        return None


def write_private(path: Path, content: bytes) -> bool:
    """Write a file to the cache completely or not at all. Missing folders are created.

    Args:
        path: The file.
        content: Its content.

    Returns:
        Whether it was written. False where the folder cannot be written, or others may write it.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(path.parent):
            return False
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError:
        return False
    return True


def _is_private(path: Path) -> bool:
    """Return whether a path is a plain file or a folder that only this user may write."""
    status = path.lstat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return False
    if os.name == "nt":  # modes say nothing there, and others cannot write the user's folders
        return True
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
