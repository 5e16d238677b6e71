"""The lines of a manifest that anyone may have written, in little memory and time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

_CHUNK = 2**18  # bytes that are read at once
_LONGEST = 2**20  # bytes of a line; those of entries take about a thousand


def read_lines(descriptor: int) -> Iterator[bytes]:
    """Read an open manifest from its start, line by line.

    Longer lines than any entry are left out, and holes in such a line are not read.

    Args:
        descriptor: Descriptor of a plain file.

    Yields:
        Lines without their ends, at last one that was cut.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    line: bytes | None = b""  # the start of the current line; None if it is too long
    while chunk := os.read(descriptor, _CHUNK):
        first, *others = chunk.split(b"\n")
        if line is not None:
            line += first
        if not others:
            if line is None or len(line) > _LONGEST:
                line = None
                _skip_hole(descriptor)
            continue
        if line is not None:
            yield line
        *whole, line = others
        yield from whole
    if line:
        yield line


def _skip_hole(descriptor: int) -> None:
    """Go to the next data of a sparse file, where the system can tell."""
    if not hasattr(os, "SEEK_DATA"):
        return
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        # ENXIO: no data follows. Another error: this file system cannot tell.
        os.lseek(descriptor, *((0, os.SEEK_END) if error.errno == errno.ENXIO else (position, 0)))
