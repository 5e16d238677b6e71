"""The process that measures on a GPU, started, watched and started again: what breaks or hangs it costs one contender."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import common

PATIENCE, PATIENCE_TO_START = 60, 180  # seconds without a word from the measuring process, while it measures and before
MOST_STARTS = 12


def measure(options: argparse.Namespace, suite: str, until: float) -> int:
    """Processes that measure, one after the other, each where the one before it stopped."""
    path, began = options.out / f"{suite}.json", time.time()
    words = [sys.executable, "-m", "benchmarks.gpu", "--worker", str(until), "--out", str(options.out), "--cases", options.cases]
    words += ["--sweep"] * options.sweep
    for start in range(MOST_STARTS):
        process = subprocess.Popen([*words, *(["--resume"] if start else [])], cwd=common.ROOT)
        ended = _watched(process, path)
        if ended == 0:
            return 0
        if not path.exists() or path.stat().st_mtime < began:
            print("the measuring process ended before its first word", file=sys.stderr)
            return 1
        record = common.load(suite, options.out)
        if record["running"]:
            key, name = record["running"]
            why = f"hung, or said nothing for {PATIENCE} s" if ended is None else f"ended its process (code {ended})"
            entry = record["cases"].setdefault(key, {"contenders": {}})
            if name is None:
                entry |= {"failed": why, "done": True}
            else:
                entry["contenders"][name] = {"failed": why}
            record["running"] = None
            common.save(suite, record, options.out)
            print(f"{key}, {name}: no time: {why}", flush=True)
    return 1


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
