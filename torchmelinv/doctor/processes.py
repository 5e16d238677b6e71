"""Each check runs in a process of its own: a crash or a hang there harms nobody."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from torchmelinv.doctor.check import Check, Row

PATIENCE = 10.0  # seconds for a killed process to end; one that waits in a driver may not


def _command(registry: str, check: Check, device: str, path: Path) -> list[str]:
    """Return the command of the process; -P keeps the current folder out of its imports."""
    program = [sys.executable, "-P", "-m", "torchmelinv.doctor.child"]
    return [*program, registry, check.name, device, str(path)]


def _ending(code: int, log: Path) -> str:
    """Return how a process ended, and the last line that it printed."""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"ended with exit code {code}" + (f": {lines[-1]}" if lines else "")


def _read_rows(path: Path) -> tuple[list[Row], str]:
    """Return the results in a file, and the shape of a trial that started without a result."""
    rows: list[Row] = []
    running = ""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the process ended while it wrote
            break
        if "started" in entry:
            running = entry["started"]
        else:
            rows.append(Row(**entry))
            running = ""
    return rows, running


def run_in_process(check: Check, registry: str, device: str, seconds: float) -> list[Row]:
    """Run a check in a process of its own.

    Args:
        check: The check.
        registry: Where the process finds it, see `child.py`.
        device: The device.
        seconds: The process is killed after this time.

    Returns:
        The results of its trials; the last one says so if the process did not end as it should.
    """
    # The same packages as here, wherever they come from.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path, log = Path(folder) / "rows", Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(registry, check, device, path),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            verdict, reason = "crashed", ""
            try:
                code = process.wait(seconds)
                reason = _ending(code, log) if code else ""
            except subprocess.TimeoutExpired:
                verdict, reason = "hung", f"no result within {seconds:g} s"
            finally:
                if process.poll() is None:
                    process.kill()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(PATIENCE)
        rows, running = _read_rows(path)
    if reason or not rows:
        end = Row(check.name, check.operation, running, verdict, reason or "it has no trials")
        rows.append(end)
    return rows
