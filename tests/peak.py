"""The most memory that this process ever held; for programs that tests start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
needs_peak = pytest.mark.skipif(not STATUS.exists(), reason="peaks of memory are read from /proc")


def peak() -> int:
    """Bytes; 0 elsewhere than on Linux. (getrusage's begins with the peak of the process that started this one.)"""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())[1]) if STATUS.exists() else 0
