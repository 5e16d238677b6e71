"""Scores of one method where it takes as much processor time as another.

Between the numbers of iterations that were measured, scores are linear in the logarithm of the
seconds; beyond them they are those of the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.records import Record
from benchmarks.rows import Row
from benchmarks.targets import speech_mean

Means = dict[str, float]


def at(seconds: float, measured: Sequence[Means]) -> Means:
    """Return the scores of a method after some seconds, from its scores and times."""
    points = sorted(measured, key=lambda means: means["seconds"])
    times = [math.log(means["seconds"]) for means in points]
    names = [name for name in points[0] if all(name in means for means in points)]
    return {
        name: float(np.interp(math.log(seconds), times, [means[name] for means in points]))
        for name in names
    }


def rival(section: Record, which: Row, method: str, counts: Sequence[int]) -> Means:
    """Return the mean scores on speech of another method in the time of a row."""
    rows = [which._replace(method=method, n_iter=n_iter) for n_iter in counts]
    return at(speech_mean(section, which)["seconds"], [speech_mean(section, row) for row in rows])
