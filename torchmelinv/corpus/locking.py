"""Locks on manifests tell which ranks are at work. A killed process loses its lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from torchmelinv.io.plain_files import open_descriptor


def lock_file(descriptor: int) -> bool | None:
    """Lock an open file for this process.

    Args:
        descriptor: Descriptor of the file. Closing it releases the lock.

    Returns:
        Whether the lock was free; None where the system or the file system has no locks.
    """
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextlib.contextmanager
def idle_rank(manifest: Path) -> Iterator[bool]:
    """Keep a rank from starting meanwhile.

    Args:
        manifest: Path of the rank's manifest.

    Yields:
        Whether the rank is not at work. False if that is not known.
    """
    try:
        descriptor = open_descriptor(manifest, os.O_RDWR, follow=False)
    except FileNotFoundError:  # a rank at work has a manifest
        yield True
        return
    except OSError:
        yield False
        return
    try:
        yield lock_file(descriptor) is True
    finally:
        os.close(descriptor)
