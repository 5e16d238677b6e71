"""The peak memory of the process, for programs that tests start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
needs_peak = pytest.mark.skipif(not STATUS.exists(), reason="the peak is read from /proc")


def peak() -> int:
    """Return the peak resident memory in bytes; 0 where /proc is missing.

    The peak of getrusage is inherited from the parent process.
    """
    if not STATUS.exists():
        return 0
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]
    return 1024 * int(kilobytes)
