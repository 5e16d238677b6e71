"""Start, watch and restart the process that measures on a GPU.

An implementation that breaks the device or hangs is not run again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import records
from benchmarks.records import Record

# Seconds without a change of the file: while the process measures, and before its first change.
PATIENCE, PATIENCE_AT_START = 120, 180


def record_failure(record: Record, reason: str) -> None:
    """Record why the running implementation has no result; its kernels are not run again."""
    key, name, label = record["running"]
    case = record["cases"].setdefault(key, {"implementations": {}})
    if name is None:
        case |= {"failed": reason, "done": True}
    else:
        case["implementations"][name] = {"failed": reason}
        record["broken"][label] = f"{name} in {key}: {reason}"
    record["running"] = None
    print(f"{key}, {name}: no time: {reason}", flush=True)


def measure(options: argparse.Namespace, suite: str, deadline: float) -> int:
    """Run measuring processes, each from where the one before stopped."""
    path = options.out / f"{suite}.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--worker", str(deadline)]
    command += ["--out", str(options.out), "--cases", options.cases]
    while True:
        start = time.time() - 1  # the clocks of file systems are coarse
        code = _watch(subprocess.Popen(command, cwd=records.ROOT), path)
        if code == 0:
            return 0
        if not path.exists() or path.stat().st_mtime < start:
            print("the measuring process ended before it wrote its file", file=sys.stderr)
            return 1
        record = records.load(suite, options.out)
        if record["running"]:
            hung = f"hung: no progress for {PATIENCE} s"
            record_failure(record, hung if code is None else f"ended its process (code {code})")
            records.save(suite, record, options.out)
        if "--resume" not in command:
            command = [*command, "--resume"]


def _watch(process: subprocess.Popen[bytes], path: Path) -> int | None:
    """Return the exit code, or None after killing a process whose file no longer changes."""
    start = time.time()
    while process.poll() is None:
        time.sleep(0.5)
        changed = path.stat().st_mtime if path.exists() else 0.0
        limit = changed + PATIENCE if changed > start else start + PATIENCE_AT_START
        if time.time() > limit:
            process.kill()
            process.wait()
            return None
    return process.returncode
