"""Scores of a method where it takes as much processor time as another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Means = dict[str, float]


def at(seconds: float, measured: Sequence[Means]) -> Means:
    """Return the scores of a method after some seconds, from its scores and times.

    Between them scores are linear in the logarithm of the time; beyond they are those of the last.
    """
    points = sorted(measured, key=lambda means: means["seconds"])
    times = [math.log(means["seconds"]) for means in points]
    names = [name for name in points[0] if all(name in means for means in points)]
    return {
        name: float(np.interp(math.log(seconds), times, [means[name] for means in points]))
        for name in names
    }
