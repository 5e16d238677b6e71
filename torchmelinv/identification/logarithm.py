"""The likely logarithm and floor of a mel, from its values and the presets that agree with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torchmelinv.identification.candidate import Candidate
from torchmelinv.identification.scoring import ValueStatistics

# How a floor of 10^k looks in each logarithm: the factor of k, and the distance from the median to
# the loudest entries (99.9th percentile) that recordings can have.
_FLOORS = {
    "ln": (math.log(10), 1.5, 20.0),
    "log10": (1.0, 0.7, 8.0),
    "dB": (10.0, 15.0, 100.0),
}
# The usual distance from the median to the loudest entries of recordings.
_DEPTHS = (("dB", 25.0, 85.0), ("ln", 3.7, 16.0), ("log10", 1.5, 3.7))


class LogGuess(NamedTuple):
    """The likely logarithm of a mel."""

    log: str  # ln, log10, dB, linear, normalized or unknown
    floor: float | None  # in the linear domain; None if it does not show
    reason: str


def _find_floor(mel: ValueStatistics) -> LogGuess | None:
    """Return the logarithm in which the pile of lowest values is a power of ten, or None."""
    if not mel.piled or mel.minimum > -2:
        return None
    depth = mel.high - mel.median
    for log, (decade, least, most) in _FLOORS.items():
        exponent = mel.minimum / decade
        power = round(exponent)
        is_power = abs(exponent - power) <= float(mel.tolerance(exponent)) and -16 <= power <= -3
        if is_power and (depth == 0 or least <= depth <= most):
            value = f"{'10 log10' if log == 'dB' else log} 1e{power}"
            share = f"{100 * mel.lowest_share:.1f} % of the entries are the lowest value"
            return LogGuess(log, 10.0**power, f"{share}, {mel.minimum:.4f} = {value}")
    return None


def _linear_or_normalized(mel: ValueStatistics) -> LogGuess | None:
    """Return the guess for a mel that is not a logarithm, or None if it may be one."""
    low, high, median = mel.minimum, mel.maximum, mel.median
    if low >= 0 and (mel.skewed or median < 0.1 * high):
        reason = "no entry is negative, and most are far below the largest"
        return LogGuess("linear", None, reason)
    if low >= 0:
        reason = f"no entry is negative, and the median is {median:.3f} of at most {high:.3f}"
        return LogGuess("normalized", None, reason)
    if high - low <= 2.2 or (abs(low + 4) < 1e-3 and high <= 4.001):
        return LogGuess("normalized", None, f"all entries lie between {low:.3f} and {high:.3f}")
    return None


def find_logarithm(mel: ValueStatistics, best: Sequence[Candidate]) -> LogGuess:
    """Return the likely logarithm of a mel, given the candidates that agree best."""
    # Where the peak is subtracted, the lowest value is relative to it and shows no floor.
    relative = len(best) > 0 and all(each.convention.level.reference_max for each in best)
    floor = None if relative else _find_floor(mel)
    logs = {candidate.log for candidate in best}
    if floor and (not logs or floor.log in logs):
        return floor
    if len(logs) == 1:
        return LogGuess(best[0].log, None, f"read as {best[0].title}, {best[0].reason}")
    guess = _linear_or_normalized(mel)
    if guess:
        return guess
    depth = mel.high - mel.median
    for log, least, most in _DEPTHS:
        if least <= depth < most:
            reason = f"the median lies {depth:.1f} below the loudest, as in recordings in {log}"
            return LogGuess(log, None, reason)
    reason = f"the median lies {depth:.3g} below the loudest, unusual for the log of a recording"
    return LogGuess("unknown", None, reason)
