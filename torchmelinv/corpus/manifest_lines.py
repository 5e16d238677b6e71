"""The lines of a manifest that anyone may have written, in little memory and time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

_CHUNK = 2**18  # bytes that are read at once
_LONGEST = 2**20  # bytes of a line; those of entries take about a thousand


def read_lines(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Read an open manifest from its start, line by line.

    Longer lines than any entry are left out, and holes in such a line are not read.

    Args:
        descriptor: Descriptor of a plain file.

    Yields:
        Where a line starts, and the line without its end; at last one that was cut.
    """
    position = os.lseek(descriptor, 0, os.SEEK_SET)  # of the chunk
    start = position
    line: bytes | None = b""  # the first part of the current line; None if it is too long
    while chunk := os.read(descriptor, _CHUNK):
        first, *others = chunk.split(b"\n")
        if line is not None:
            line += first
        if others:
            if line is not None:
                yield start, line
            start = position + len(first) + 1
            *whole, line = others
            for each in whole:
                yield start, each
                start += len(each) + 1
        position += len(chunk)
        if line is None or len(line) > _LONGEST:
            line = None
            position = _skip_hole(descriptor, position)
    if line:
        yield start, line


def _skip_hole(descriptor: int, position: int) -> int:
    """Go to the next data of a sparse file, where the system can tell; return where that is."""
    if not hasattr(os, "SEEK_DATA"):
        return position
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        # ENXIO: no data follows. Another error: this file system cannot tell.
        end = (0, os.SEEK_END) if error.errno == errno.ENXIO else (position, os.SEEK_SET)
        return os.lseek(descriptor, *end)
