"""Measure GPU cases one implementation at a time, and record each result or its failure."""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import gpu_process
from benchmarks.gpu_case import Case, Implementation, NotSupported, Run
from benchmarks.gpu_clock import Clock, Prepared
from benchmarks.gpu_inputs import Scale
from benchmarks.gpu_work import Work
from benchmarks.records import CheckFailed, Record
from torchmelinv.cuda import graphs
from torchmelinv.doctor.clock import UninitializedIsNaN, launched_kernels

DEVICE_BROKEN = 3  # exit code of a process whose device takes no more work
OUT_OF_TIME = "out of time"
MEASURED = ("accuracy", "launches", "corpus", "push")  # what cases measure instead of times


class PlannedCase(NamedTuple):
    """A case before it is made, with its name in the file."""

    key: str
    make: Callable[[Scale, Clock], Case]


def run(
    record: Record,
    planned_cases: Sequence[PlannedCase],
    scale: Scale,
    clock: Clock,
    save: Callable[[], None],
    deadline: float,
) -> int:
    """Measure what the record does not have yet; save after each implementation.

    Returns 0, or `DEVICE_BROKEN` if another process must continue.
    """
    for planned in planned_cases:
        entry = record["cases"].setdefault(
            planned.key, {"implementations": {}, "date": record["date"]}
        )
        if entry.get("done"):
            continue
        record["running"] = [planned.key, None, None]
        save()
        try:
            if time.time() > deadline:
                raise CheckFailed(OUT_OF_TIME)
            case = planned.make(scale, clock)
        except Exception as error:
            entry["failed"] = reason(error)
            print(f"{planned.key}: {entry['failed']}", flush=True)
        else:
            entry |= case.facts()
            if not _run_case(record, planned.key, case, clock, save, deadline):
                return DEVICE_BROKEN
        entry["done"], record["running"] = True, None
        save()
        try:
            clock.synchronize()
        except Exception:  # of a case that could not be made
            return DEVICE_BROKEN
    return 0


def _run_case(
    record: Record, key: str, case: Case, clock: Clock, save: Callable[[], None], deadline: float
) -> bool:
    """Measure the implementations of a case; return whether the device still takes work.

    Those without our kernels come first, so that no kernel can prevent them.
    """
    for implementation in sorted(case.implementations, key=lambda each: bool(each.kernels)):
        if implementation.name in record["cases"][key]["implementations"]:
            continue
        record["running"] = [key, implementation.name, implementation.labels[0]]
        save()
        if not _run_implementation(record, case, implementation, clock, deadline):
            save()
            return False
    return True


def _run_implementation(
    record: Record, case: Case, implementation: Implementation, clock: Clock, deadline: float
) -> bool:
    """Measure an implementation; return whether the device still takes work."""
    key, name, _ = record["running"]
    broken = [
        record["broken"][label] for label in implementation.labels if label in record["broken"]
    ]
    try:
        if broken:
            raise CheckFailed(f"skipped after {broken[0]}")
        if time.time() > deadline:
            raise CheckFailed(OUT_OF_TIME)
        bandwidth = record["device"]["copy_bytes_per_second"]
        result = measure(case, implementation, clock, bandwidth)
    except NotSupported as error:
        result = {"failed": reason(error), "unsupported": True}
    except Exception as error:
        result = {"failed": reason(error)}
    try:
        clock.synchronize()
    except Exception as error:
        cause = result.get("failed") or reason(error)
        gpu_process.record_failure(record, f"broke the device: {cause}")
        return False
    record["cases"][key]["implementations"][name] = result
    print(f"{key}, {name}: {describe(result)}", flush=True)
    return True


def measure(case: Case, implementation: Implementation, clock: Clock, bandwidth: float) -> Record:
    """Return the entry of an implementation; raise if its result is wrong."""
    graphs.clear()
    with launched_kernels() as names:
        if case.measure is not None:
            entry: Record = case.measure(implementation)
        else:
            function = implementation.make(case.n_iter)
            prepared = clock.prepare(function, case.sets, implementation.graph)
            entry = {"checks": _checks(case, implementation, prepared)}
            # Graphs captured during the checks would fill memory with NaN at every replay.
            graphs.clear()
    if implementation.kernels and not names:
        raise CheckFailed("no kernel was launched: the result comes from another path")
    entry["kernels"] = sorted(names)
    if case.measure is not None:
        return entry
    if implementation.graph is None:
        entry |= _memory(implementation, function, case.sets[0], clock)
    runs = clock.seconds(prepared)
    seconds = statistics.median(runs)
    quartiles = statistics.quantiles(runs, n=4)[::2] if len(runs) > 1 else runs * 2
    entry |= {"seconds": _digits(seconds), "quartiles": [_digits(each) for each in quartiles]}
    return entry | per_iteration(case.work, seconds / case.n_iter, bandwidth)


def _checks(case: Case, implementation: Implementation, prepared: Prepared) -> list[Record]:
    """Check the results of the first and of the last set, with uninitialized memory set to NaN."""
    entries = []
    with UninitializedIsNaN():
        for index in (0, len(case.sets) - 1):
            result = prepared.result(index)
            entries += case.checks(implementation, implementation.make, index, result)
    return entries


def _memory(implementation: Implementation, function: Run, inputs: Any, clock: Clock) -> Record:
    """Return the peaks of memory of a call, or of its parts.

    Without parts there are three calls, because the library captures the second and replays the
    third.
    """
    if implementation.parts is None:
        peaks = clock.peaks([lambda: function(inputs)] * 3)
        return {"peak_bytes": max(peaks, default=None)}
    parts = implementation.parts(inputs)
    peaks = clock.peaks(list(parts.values()))
    named = {f"{name}_peak_bytes": peak for name, peak in zip(parts, peaks, strict=False)}
    return {"peak_bytes": max(peaks, default=None), **named}


def per_iteration(work: Work | None, seconds: float, bandwidth: float) -> Record:
    """Return the time of an iteration, and its ratios to the least bytes and operations.

    The memory bound is the time in which a large copy moves the least bytes.
    """
    if work is None:
        return {"seconds_per_iteration": _digits(seconds)}
    return {
        "seconds_per_iteration": _digits(seconds),
        "bytes_per_second": _digits(work.bytes / seconds),
        "flops_per_second": _digits(work.flops / seconds),
        "times_memory_bound": _digits(seconds * bandwidth / work.bytes),
    }


def _digits(value: float) -> float:
    return float(f"{value:.5g}")


def reason(error: BaseException) -> str:
    """Return the first line of an error, without paths."""
    first = (str(error).strip() or type(error).__name__).split("\n")[0]
    text = first if isinstance(error, CheckFailed) else f"{type(error).__name__}: {first}"
    return re.sub(r"(/[\w.+-]+){2,}", "…", text)[:300]


def describe(result: Record) -> str:
    """Return an entry as a phrase."""
    if "failed" in result:
        return f"no time: {result['failed']}"
    for field in MEASURED:
        if values := result.get(field):
            known = {name: value for name, value in values.items() if value is not None}
            return ", ".join(f"{name} {value:.4g}" for name, value in known.items())
    ratio = result.get("times_memory_bound", math.nan)
    bound = "" if math.isnan(ratio) else f", {ratio:.2f} × the memory bound"
    return f"{result['seconds'] * 1e3:.4g} ms{bound}"
