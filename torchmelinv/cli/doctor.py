"""`torchmelinv doctor`: the environment, what works on this machine, and which kernels are used."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from torchmelinv._utils.validation import check_number
from torchmelinv.cli.console import (
    EXIT_FAILED,
    EXIT_OK,
    print_json,
    print_message,
)
from torchmelinv.cli.describe import format_fields, format_table
from torchmelinv.cli.from_options import check_device
from torchmelinv.cuda import verdicts
from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER
from torchmelinv.doctor import verification
from torchmelinv.doctor.check import Check, Row
from torchmelinv.doctor.child import load_checks
from torchmelinv.doctor.environment import environment
from torchmelinv.doctor.self_check import Part, self_check
from torchmelinv.errors import InputError

HEADING = (
    *("kernel", "shape", "error", "allowed"),
    *("plain torch, ms", "kernel, ms", "torchaudio, ms", "times faster", "verdict"),
)
NUMBERS = range(2, 8)  # the columns of numbers


def _cuda_device(name: str | None) -> torch.device | None:
    """Return the CUDA device to check, with its index, or None if there is none."""
    if name is None:
        if not torch.cuda.is_available():
            return None
        return torch.device("cuda", torch.cuda.current_device())
    device = check_device(name)
    if device.type != "cuda":
        raise InputError(f"--device is {name!r}; kernels are checked on CUDA devices only")
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.device("cuda", index)


def run(options: argparse.Namespace) -> int:
    """Print the report and return the exit code."""
    check_number("--seconds", options.seconds, 1)
    device = _cuda_device(options.device)
    surroundings, parts = environment(), self_check()
    if not options.json:
        print("\n".join(format_fields(_texts(surroundings))))
        print("\nworks here:")
        lines = format_fields((part.name, _format_part(part)) for part in parts)
        print("\n".join(lines), flush=True)  # what follows takes minutes on a device
    kernels = None if options.no_kernels else _check_kernels(options, device)
    if options.json:
        report = {part.name: part._asdict() for part in parts}
        print_json({"environment": surroundings, "parts": report, "kernels": kernels})
    inversion_works = all(part.works for part in parts if part.name == "inversion")
    return EXIT_OK if inversion_works else EXIT_FAILED


def _texts(surroundings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the environment as pairs of texts."""
    texts = []
    for name, value in surroundings.items():
        text = "; ".join(value) or "none" if isinstance(value, list) else str(value)
        texts.append((name, text))
    return texts


def _format_part(part: Part) -> str:
    return part.result if part.works else f"DOES NOT WORK: {part.result}"


def _check_kernels(options: argparse.Namespace, device: torch.device | None) -> dict[str, Any]:
    """Check the kernels if there is a device; return the report for JSON."""
    if device is None:
        return _without_device(options)
    return _with_device(options, str(device), verdicts.machine(device.index))


def _without_device(options: argparse.Namespace) -> dict[str, Any]:
    """Say what would happen on a CUDA device."""
    checks = load_checks(verification.REGISTRY)
    if not options.json:
        names = "\n".join(f"  {check.name}" for check in checks)
        print(
            "\nThere is no CUDA device, so everything runs in plain torch. On one, this command "
            "checks these kernels, each in a process of its own, and backend 'auto' then uses "
            f"those that are right and faster:\n{names}"
        )
    return {"device": None, "checks": [check.name for check in checks]}


def _with_device(
    options: argparse.Namespace, device: str, machine: verdicts.Machine
) -> dict[str, Any]:
    """Check the kernels, print a table and write the verdict."""

    def report(check: Check, rows: Sequence[Row]) -> None:
        found = ", ".join(dict.fromkeys(row.verdict for row in rows))
        print_message("note", f"{check.name}: {found}")

    rows = verification.run_checks(device, verification.REGISTRY, options.seconds, report)
    operations = verification.operation_verdicts(rows)
    try:
        path = str(verification.save(machine, rows))
    except OSError as error:
        print_message("warning", f"the verdict is not kept, so 'auto' uses no kernel: {error}")
        path = None
    if not options.json:
        print("\n" + "\n".join(format_table([HEADING, *map(_table_row, rows)], right=NUMBERS)))
        print("\n" + "\n".join(_conclusion(operations, path)))
    return {
        "device": device,
        "rows": [verification.to_dict(row) for row in rows],
        "operations": operations,
        "file": path,
    }


def _number(value: float | None, scale: float = 1.0) -> str:
    return "" if value is None else f"{scale * value:.3g}"


def _table_row(row: Row) -> tuple[str, ...]:
    """Return a result as the cells of the table."""
    seconds = (row.plain_seconds, row.kernel_seconds, row.torchaudio_seconds)
    return (
        row.check,
        row.shape,
        _number(row.error),
        _number(row.allowed),
        *(_number(each, 1e3) for each in seconds),
        _number(row.speedup),
        row.verdict + (f": {row.reason}" if row.reason else ""),
    )


def _conclusion(operations: dict[str, str], path: str | None) -> list[str]:
    """Say what `auto` does from now on."""
    used = [name for name, verdict in operations.items() if verdict == RIGHT_AND_FASTER]
    lines = [f"{name}: {verdict}" for name, verdict in operations.items()]
    if path is None or not used:
        return [*lines, "Backend 'auto' runs plain torch for all operations on this device."]
    return [
        *lines,
        f"Backend 'auto' uses the kernels of {len(used)} of {len(operations)} operations on this "
        f"device, in processes that start from now on. The verdict is in {path}.",
    ]
