"""Checksums of files: each is computed once as long as the file stays the same."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from torchmelinv.io.plain_files import open_plain

_MOST_FILES = 64  # that are remembered
_BLOCK = 2**20  # bytes that are read at once


def sha256_of(path: Path) -> str:
    """Return the checksum of a plain file."""
    digest = hashlib.sha256()
    with open_plain(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Checksums:
    """Checksums of files that are asked for again and again. Thread-safe.

    A file of many mels is hashed once, not for each of them.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int, str]] = {}
        self._lock = threading.Lock()

    def __call__(self, path: Path) -> str:
        """Return the checksum of a file; compute it again if its size or time has changed."""
        with self._lock:
            status = os.stat(path)
            version = (status.st_size, status.st_mtime_ns)
            if self._known.get(path, ())[:2] != version:
                self._known.pop(path, None)
                self._known[path] = (*version, sha256_of(path))
                if len(self._known) > _MOST_FILES:
                    del self._known[next(iter(self._known))]
            return self._known[path][2]
