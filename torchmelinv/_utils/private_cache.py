"""The cache folder on disk, for files that only this user may have written.

What the library reads from it decides what code runs, so a file of another user, a link, or a file
that others may write counts as none.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

ENVIRONMENT_VARIABLE = "TORCHMELINV_CACHE"
_WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path | None:
    """Return the cache folder, which may not exist yet; None for a user without a home."""
    folder = os.environ.get(ENVIRONMENT_VARIABLE)
    try:
        if folder:
            return Path(folder).expanduser()
        parent = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not parent.is_absolute():  # such a value does not count, says its specification
            parent = Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return parent / "torchmelinv"


def _check_owner(name: Path, status: os.stat_result) -> None:
    """Refuse what another user owns or may write; Windows keeps that in access lists."""
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{name} belongs to another user")
    if status.st_mode & _WRITTEN_BY_OTHERS:
        raise PermissionError(f"other users may write {name}; `chmod go-w {name}` ends that")


def read_private(path: Path, max_bytes: int = 2**24) -> bytes:
    """Return the contents of a file in a folder, if only this user may have written both.

    Args:
        path: The file.
        max_bytes: A larger file is refused.

    Returns:
        The contents.

    Raises:
        OSError: If the file cannot be read, is no regular file, or others may have written it.
    """
    _check_owner(path.parent, path.parent.stat())
    # Without following a link, and without waiting for a pipe.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(f"{path} is no regular file")
        _check_owner(path, status)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(f"{path} has more than {max_bytes} bytes")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Write a file that `read_private` accepts, at once: a reader sees all of it or none.

    Args:
        path: The file; its folder is made if there is none, for this user alone.
        data: The contents.

    Raises:
        OSError: If the file cannot be written, or if others may write its folder.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(path.parent, path.parent.stat())
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
