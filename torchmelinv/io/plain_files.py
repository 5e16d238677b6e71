"""Open plain files alone: a pipe would block, and a device has no end."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from torchmelinv.errors import FileError
from torchmelinv.io.memory import check_memory

# Not on every system. Opening a pipe that nobody writes to would block without O_NONBLOCK.
_FLAGS = {
    name: getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_BINARY")
}


def open_descriptor(path: str | Path, flags: int = os.O_RDONLY, *, follow: bool = True) -> int:
    """Open a plain file.

    Args:
        path: The file.
        flags: Flags of `os.open`.
        follow: Follow a link at the end of the path.

    Returns:
        The descriptor.

    Raises:
        FileError: If the path is a pipe, a device or a folder.
        OSError: If the file cannot be opened, or is a link that is not followed.
    """
    for name, flag in _FLAGS.items():
        flags |= 0 if follow and name == "O_NOFOLLOW" else flag
    descriptor = os.open(path, flags, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileError(f"{path} is not a plain file; remove it, or save it as one first")


class Member(io.BytesIO):
    """A file within another one, in memory. Readers take it in place of a path.

    Args:
        content: The content.
        name: Name for messages.
        suffix: Suffix that tells the format, such as ".npy".
    """

    def __init__(self, content: bytes, name: str, suffix: str) -> None:
        super().__init__(content)
        self.name, self.suffix = name, suffix

    def __str__(self) -> str:
        return self.name


def open_plain(path: str | Path | Member) -> io.BufferedReader | Member:
    """Open a plain file for reading.

    Args:
        path: The file, or a link to it. A member is open already.

    Returns:
        The open file.

    Raises:
        FileError: If the path is a pipe, a device or a folder.
        OSError: If the file cannot be opened.
    """
    if isinstance(path, Member):
        return path
    return os.fdopen(open_descriptor(path), "rb")


def stream_size(stream: BinaryIO) -> int:
    """Return the size of an open file in bytes; its position stays."""
    position = stream.tell()
    size = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size


def read_content(path: str | Path | Member, copies: int = 1) -> bytes:
    """Read a file into memory, where nobody can change it.

    A file that is mapped into memory ends the process if another program shortens it.

    Args:
        path: The file.
        copies: How often its content will be in memory.

    Returns:
        The content.

    Raises:
        FileError: If there is not enough memory, or the file changes meanwhile.
        OSError: If the file cannot be read.
    """
    with open_plain(path) as stream:
        size = stream_size(stream)
        check_memory(path, copies * size)
        content = stream.read(size)
        if len(content) < size or stream.seek(0, io.SEEK_END) != size:
            raise FileError(f"{path} changed while it was read; wait until it is complete")
    return content
