"""All checks of kernels, and the verdict about each operation that follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER, Machine, write_verdict
from torchmelinv.doctor.check import Check, Row
from torchmelinv.doctor.child import load_checks
from torchmelinv.doctor.processes import run_in_process

REGISTRY = "torchmelinv.doctor.kernel_checks:kernel_checks"


def run_checks(
    device: str,
    registry: str,
    seconds: float,
    report: Callable[[Check, Sequence[Row]], None] = lambda *_: None,
) -> list[Row]:
    """Run all checks, one after the other.

    Args:
        device: The device.
        registry: Where the checks are, see `child.py`.
        seconds: Time for one check.
        report: Called with each check and its results.

    Returns:
        The results.
    """
    rows: list[Row] = []
    for check in load_checks(registry):
        new = run_in_process(check, registry, device, seconds)
        report(check, new)
        rows += new
    return rows


def operation_verdicts(rows: Sequence[Row]) -> dict[str, str]:
    """Return the verdict about each operation: the first that is not right and faster, if any."""
    verdicts: dict[str, str] = {}
    for row in rows:
        if verdicts.setdefault(row.operation, row.verdict) == RIGHT_AND_FASTER:
            verdicts[row.operation] = row.verdict
    return verdicts


def to_dict(row: Row) -> dict[str, Any]:
    """Return a result for JSON."""
    return {**dataclasses.asdict(row), "speedup": row.speedup}


def save(of: Machine, rows: Sequence[Row]) -> Path:
    """Write the verdict that `auto` reads; arguments and errors as in `write_verdict`."""
    return write_verdict(of, operation_verdicts(rows), [to_dict(row) for row in rows])
