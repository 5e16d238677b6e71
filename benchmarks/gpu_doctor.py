"""`python -m benchmarks.gpu_doctor`: keep the report of `torchmelinv doctor` on a CUDA device.

Writes `results/doctor-<name>.json`. The doctor also leaves its verdict in the cache, which backend
`auto` follows on this machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import gpu, records
from benchmarks.records import Record

SECONDS = 60  # for one kernel


def report(seconds: float) -> Record:
    """Run the doctor; return its results without the paths of this machine."""
    command = [sys.executable, "-m", "torchmelinv", "doctor", "--json", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=records.ROOT, stdout=subprocess.PIPE, check=True)
    kernels = json.loads(done.stdout)["kernels"]
    return {name: kernels[name] for name in ("rows", "operations")}


def main(argv: Sequence[str] | None = None) -> int:
    """Check all kernels and write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_doctor", description="Check the CUDA kernels of a device."
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=records.RESULTS,
        help="folder of the results (default: benchmarks/results)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"kill the check of a kernel after this time (default: {SECONDS})",
    )
    options = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("there is no CUDA device", file=sys.stderr)
        return 2
    device = torch.cuda.get_device_properties(0).name
    suite = gpu.suite_name(device).replace("gpu", "doctor", 1)
    record = {"suite": suite, **records.environment(), "device": device, **report(options.seconds)}
    records.save(suite, record, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
