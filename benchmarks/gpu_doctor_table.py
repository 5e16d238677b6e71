"""The table of `benchmarks/results/doctor-*.json`, one file per device."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.gpu_table import ratio
from benchmarks.markdown import table
from benchmarks.records import RESULTS, Record, load

NO_REPORT = "No device has been checked yet. `make bench-gpu` checks one."
HEAD = ["kernel", "shape", "error", "allowed", "speed relative to plain torch", "verdict"]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def rows(record: Record) -> str:
    """Return a line for each kernel and shape."""
    lines = []
    for row in record["rows"]:
        verdict = row["verdict"] + (f": {row['reason']}" if row["reason"] else "")
        errors = [_number(row["error"]), _number(row["allowed"])]
        speed = ratio(row["speedup"] or math.nan)
        lines.append([row["check"], row["shape"], *errors, speed, verdict])
    return table(HEAD, lines, text=(0, 1, 5))


def render(_: Any) -> str:
    """Return the reports of all devices."""
    parts = []
    for path in sorted(RESULTS.glob("doctor-*.json")):
        record = load(path.stem)
        source = f"{record['device']}, {record['date']}, torch {record['versions']['torch']}."
        parts += [rows(record), source]
    return "\n\n".join(parts or [NO_REPORT]) + "\n"
