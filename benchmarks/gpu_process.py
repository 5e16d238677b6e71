"""The process that measures on a GPU, started, watched and started again: what breaks or hangs it is tried no second time."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import common
from benchmarks.common import Record

PATIENCE, PATIENCE_TO_START = 60, 180  # seconds without a word from the measuring process, while it measures and before


def blame(record: Record, why: str) -> None:
    """Note what became of the contender that ran, and that its kernels are not to be tried again."""
    key, name, word = record["running"]
    case = record["cases"].setdefault(key, {"contenders": {}})
    if name is None:
        case |= {"failed": why, "done": True}
    else:
        case["contenders"][name] = {"failed": why}
        record["broken"][word] = f"{name} in {key}: {why}"
    record["running"] = None
    print(f"{key}, {name}: no time: {why}", flush=True)


def measure(options: argparse.Namespace, suite: str, until: float) -> int:
    """Processes that measure, one after the other, each where the one before it stopped: one more for each that is to blame."""
    path = options.out / f"{suite}.json"
    words = [sys.executable, "-m", "benchmarks.gpu", "--worker", str(until), "--out", str(options.out), "--cases", options.cases]
    while True:
        began = time.time() - 1  # files' clocks are coarse
        process = subprocess.Popen(words, cwd=common.ROOT)
        ended = _watched(process, path)
        if ended == 0:
            return 0
        if not path.exists() or path.stat().st_mtime < began:
            print("the measuring process ended before its first word", file=sys.stderr)
            return 1
        record = common.load(suite, options.out)
        if record["running"]:
            blame(record, f"hung, or said nothing for {PATIENCE} s" if ended is None else f"ended its process (code {ended})")
            common.save(suite, record, options.out)
        words = [*words, *(["--resume"] if "--resume" not in words else [])]


def _watched(process: subprocess.Popen[bytes], path: Path) -> int | None:
    """The process' exit code, or None where it was stopped because its file no longer changed."""
    began = time.time()
    while process.poll() is None:
        time.sleep(0.5)
        word = path.stat().st_mtime if path.exists() else 0.0
        if time.time() > (word + PATIENCE if word > began else began + PATIENCE_TO_START):
            process.kill()
            process.wait()
            return None
    return process.returncode
