"""`python -m torchmelinv.doctor.child REGISTRY CHECK DEVICE FILE`: one check, in this process.

REGISTRY is `module:function`; the function returns the checks. Each trial writes two lines of JSON:
its shape before it starts, and its result.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import torch

from torchmelinv._utils.text import plain
from torchmelinv.doctor.check import Check, Row, run_trial


def load_checks(registry: str) -> list[Check]:
    """Return the checks of a registry, `module:function`."""
    module, _, function = registry.partition(":")
    checks: list[Check] = getattr(importlib.import_module(module), function)()
    return checks


def _write(file: TextIO, entry: dict[str, Any]) -> None:
    """Write a line at once: the process may end at any time."""
    print(json.dumps(plain(entry)), file=file, flush=True)


def _takes_work(device: torch.device) -> bool:
    """Return whether the device still works; an error in a kernel may break its context."""
    try:
        torch.zeros(1, device=device).add(1).item()
    except RuntimeError:
        return False
    return True


def run_check(check: Check, device: torch.device, file: TextIO) -> None:
    """Run the trials of a check."""
    trials = check.trials(device)
    while True:
        try:
            trial = next(trials, None)
        except Exception as error:  # while it makes the inputs
            reason = f"its inputs: {type(error).__name__}: {error}"
            row = Row(check.name, check.operation, "", "failed", reason)
            _write(file, dataclasses.asdict(row))
            return
        if trial is None:
            return
        _write(file, {"started": trial.shape})
        row = run_trial(check, trial, device)
        _write(file, dataclasses.asdict(row))
        if not _takes_work(device):
            return


def main(arguments: Sequence[str]) -> None:
    """Run the check that the arguments name."""
    registry, name, device_name, path = arguments
    device = torch.device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    (check,) = (check for check in load_checks(registry) if check.name == name)
    with Path(path).open("w", encoding="utf-8") as file:
        run_check(check, device, file)


if __name__ == "__main__":
    main(sys.argv[1:])
