"""What is wanted of the kernels on a GPU, beside what a file says. What it does not say is not measured, and not reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.common import Record
from benchmarks.gpu_inputs import MAIN, SETTINGS, STEP_ERROR

PLAIN, PEER = "plain torch", "torchaudio"
KERNELS = ("kernels", "pairs kernels", "fused kernels")
END_DB = 0.05  # of means over a batch, after many iterations


class Row(NamedTuple):
    """One target; `value` None where it is not measured."""

    what: str
    value: float | None
    wanted: str
    reached: bool
    by: str = ""  # the contender that the value is of


def contenders(record: Record, key: str) -> Record:
    return record["cases"].get(key, {}).get("contenders", {})


def found(record: Record, key: str, name: str, field: str = "seconds") -> Any:
    """What the file says of a contender; None where it says nothing."""
    return contenders(record, key).get(name, {}).get(field)


def fastest(record: Record, key: str, names: Iterable[str] = KERNELS) -> tuple[str, Record] | None:
    """Of those that have a time, as they are or as a graph."""
    timed = {name: entry for name, entry in contenders(record, key).items() if "seconds" in entry}
    those = [name for name in timed if name.removesuffix(", graph") in names]
    return min(((name, timed[name]) for name in those), key=lambda one: one[1]["seconds"], default=None)


def _limit(what: str, value: float | None, limit: float, least: bool = False, by: str = "", unit: str = "") -> Row:
    reached = value is not None and (value >= limit if least else value <= limit)
    return Row(what, value, f"{'≥' if least else '≤'} {limit:g}{unit}", bool(reached), by)


def _speed(record: Record, batch: int, limit: float) -> Row:
    key = f"call {MAIN} batch {batch}"
    ours, theirs = fastest(record, key), found(record, key, PEER)
    what = f"fast Griffin-Lim, {MAIN}, batch {batch}, times as fast as torchaudio"
    value = None if ours is None or theirs is None else theirs / ours[1]["seconds"]
    return _limit(what, value, limit, True, ours[0] if ours else "", " ×")


def _floor(record: Record) -> Row:
    ours = fastest(record, f"step {MAIN} batch 64")
    value = None if ours is None else ours[1].get("times_byte_floor")
    return _limit(f"one iteration, {MAIN}, batch 64, beside the floor of bytes", value, 3, False, ours[0] if ours else "", " ×")


def _entropic(record: Record) -> Row:
    ours = fastest(record, "entropic batch 64")
    return _limit("entropic magnitude of 55168 frames, ms", ours and 1e3 * ours[1]["seconds"], 3, False, ours[0] if ours else "")


def _mel(record: Record, batch: int) -> Row:
    key = f"mel batch {batch}"
    joint, plain = (found(record, key, f"kernels, {name}") for name in ("mel-consistent", "fast Griffin-Lim"))
    what = f"mel-consistent iteration beside one of fast Griffin-Lim, batch {batch}"
    return _limit(what, joint / plain if joint and plain else None, 1.5, False, "kernels", " ×")


def _gradient(record: Record) -> list[Row]:
    key, rows = "gradient batch 16", []
    for what, field, limit in (("times as fast as", "seconds", 4), ("less memory at its peak than", "peak_bytes", 8)):
        theirs, ours = (found(record, key, name, field) for name in (PEER, "kernels"))
        what = f"forward and backward, batch 16, {what} torchaudio"
        rows.append(_limit(what, theirs / ours if theirs and ours else None, limit, True, "kernels", " ×"))
    return rows


def _accuracy(record: Record) -> list[Row]:
    """The worst of all sizes and families of kernels, but for sizes that a family does not serve."""
    measured: dict[str, Record] = {}
    missing = False
    for setting in SETTINGS:
        for name in KERNELS:
            entry = contenders(record, f"accuracy {setting}").get(name, {})
            if "accuracy" in entry:
                measured[f"{name}, {setting}"] = entry["accuracy"]
            elif not entry.get("unserved"):
                missing = True

    def worst(what: str, badness: Callable[[Record], float], limit: float) -> Row:
        by = max(measured, key=lambda name: _or_worse(badness(measured[name])), default="")
        value = badness(measured[by]) if by else None
        missed = value is not None and not value <= limit
        return _limit(what, value if missed or not missing else None, limit, by=by)

    rows = [
        worst("a step from float64, of the peak", lambda said: said["step_error"], STEP_ERROR),
        worst("spectral convergence from float64's after 100 iterations, dB", lambda said: said["convergence_apart_db"], END_DB),
        worst("log-spectral error from float64's after 100 iterations, dB", lambda said: said["log_spectral_apart_db"], END_DB),
    ]
    for what, field in (("two runs are not bit for bit the same", "two_runs_equal"), ("an item alone is another", "alone_equal")):
        off = [name for name, said in measured.items() if not said[field]]
        value = None if missing and not off else float(len(off))
        rows.append(_limit(f"kernels and sizes where {what}", value, 0, by=off[0] if off else ""))
    return rows


def _or_worse(value: float) -> float:
    return math.inf if math.isnan(value) else value


def verdict(record: Record) -> Sequence[Row]:
    """All targets."""
    return [
        _speed(record, 1, 15),
        _speed(record, 16, 8),
        _speed(record, 64, 8),
        _floor(record),
        _entropic(record),
        _mel(record, 16),
        _mel(record, 64),
        *_gradient(record),
        *_accuracy(record),
    ]
