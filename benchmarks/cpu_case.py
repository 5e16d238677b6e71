"""A case of the CPU benchmark: functions to time against each other, and their checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.records import Record

SAMPLE_RATE = 22050
N_FRAMES = 862  # 10 s
N_ITER = 32


class Case(NamedTuple):
    """A group of lines in the table."""

    title: str
    ours: str  # the function that the others are compared with
    functions: dict[str, Callable[[], object]]
    targets: dict[str, float]  # peer: the speed relative to it that we aim for
    checks: list[Record]
    notes: Record  # further values for the file
