"""What is wanted of the kernels on a GPU, beside what a file says. What it does not say is not measured, and not reached.

Speed is that of the public functions as they come, "kernels"; of a single step it is the device's alone, as a graph of a chain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.common import Record
from benchmarks.gpu_cases import STEP_ERROR
from benchmarks.gpu_inputs import MAIN, SETTINGS

PEER, OURS, STEP = "torchaudio", "kernels", "kernels, graph"
KERNELS = (OURS, "pairs kernels", "fused kernels")
END_DB = 0.05  # of means over a batch, after many iterations


class Row(NamedTuple):
    """One target; `value` None where it is not measured."""

    what: str
    value: float | None
    wanted: str
    reached: bool
    by: str  # the contender that the value is of


def found(record: Record, key: str, name: str, field: str = "seconds") -> Any:
    """What the file says of a contender; None where it says nothing."""
    return record["cases"].get(key, {}).get("contenders", {}).get(name, {}).get(field)


def _limit(what: str, value: float | None, limit: float, by: str, least: bool = False, unit: str = "") -> Row:
    reached = value is not None and (value >= limit if least else value <= limit)
    return Row(what, value, f"{'≥' if least else '≤'} {limit:g}{unit}", bool(reached), by)


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _speed(record: Record) -> list[Row]:
    rows = []
    for batch, limit in ((1, 15), (16, 8), (64, 8)):
        value = _ratio(*(found(record, f"call {MAIN} batch {batch}", name) for name in (PEER, OURS)))
        what = f"fast Griffin-Lim, {MAIN}, batch {batch}, times as fast as torchaudio"
        rows.append(_limit(what, value, limit, OURS, True, " ×"))
    floor = found(record, f"step {MAIN} batch 64", STEP, "times_byte_floor")
    rows.append(_limit(f"one iteration, {MAIN}, batch 64, beside the floor of bytes", floor, 3, STEP, unit=" ×"))
    seconds = found(record, "entropic batch 64", OURS)
    rows.append(_limit("entropic magnitude of 55168 frames, ms", seconds and 1e3 * seconds, 3, OURS))
    for batch in (16, 64):
        value = _ratio(*(found(record, key, STEP) for key in (f"mel batch {batch}", f"step {MAIN} batch {batch}")))
        what = f"mel-consistent iteration beside one of fast Griffin-Lim, batch {batch}"
        rows.append(_limit(what, value, 1.5, STEP, unit=" ×"))
    for what, field, limit in (("times as fast as", "seconds", 4), ("less memory at its peak than", "peak_bytes", 8)):
        value = _ratio(*(found(record, "gradient batch 16", name, field) for name in (PEER, OURS)))
        rows.append(_limit(f"forward and backward, batch 16, {what} torchaudio", value, limit, OURS, True, " ×"))
    return rows


def _accuracy(record: Record) -> list[Row]:
    """The worst of all sizes and families of kernels, but for sizes that a family does not serve."""
    every = [(f"accuracy {setting}", name) for setting in SETTINGS for name in KERNELS]
    said = {f"{name}, {key[9:]}": found(record, key, name, "accuracy") for key, name in every}
    missing = any(not found(record, *each, "accuracy") and not found(record, *each, "unserved") for each in every)
    measured = {name: accuracy for name, accuracy in said.items() if accuracy}

    def worst(what: str, badness: Callable[[Record], float], limit: float) -> Row:
        values = {name: badness(accuracy) for name, accuracy in measured.items()}
        by = max(values, key=lambda name: math.inf if math.isnan(values[name]) else values[name], default="")
        value = values.get(by)
        missed = value is not None and not value <= limit
        return _limit(what, value if missed or not missing else None, limit, by)

    after = "from float64's after 100 iterations, dB"
    return [
        worst("a step from float64, of the peak", lambda one: one["step_error"], STEP_ERROR),
        worst(f"spectral convergence {after}", lambda one: one["convergence_apart_db"], END_DB),
        worst(f"log-spectral error {after}", lambda one: one["log_spectral_apart_db"], END_DB),
        worst("two runs are not bit for bit the same (1: so it is)", lambda one: 1.0 - one["two_runs_equal"], 0),
        worst("an item alone is another (1: so it is)", lambda one: 1.0 - one["alone_equal"], 0),
    ]


def verdict(record: Record) -> Sequence[Row]:
    """All targets."""
    return [*_speed(record), *_accuracy(record)]
