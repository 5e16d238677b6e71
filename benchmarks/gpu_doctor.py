"""`python -m benchmarks.gpu_doctor`: keep the report of `torchmelinv doctor` on a CUDA device.

Writes `results/doctor-<name>.json` after each check, because time on a device may run out. At the
end the verdict is written to the cache, too, where backend `auto` on this machine reads it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import gpu, records
from torchmelinv.cuda import verdicts
from torchmelinv.doctor import verification
from torchmelinv.doctor.check import Check, Row

SECONDS = 60  # for one kernel


def describe(row: Row) -> str:
    """Return a result as a line."""
    parts = [f"{row.check}, {row.shape}: {row.verdict}", row.reason]
    if row.error is not None and row.allowed is not None:
        parts.append(f"error {row.error:.2g} of {row.allowed:.2g}")
    if row.kernel_seconds is not None and row.speedup is not None:
        parts.append(f"{1e3 * row.kernel_seconds:.3g} ms, {row.speedup:.3g} × plain torch")
    return "; ".join(filter(None, parts))


def check_kernels(index: int, seconds: float, folder: Path) -> None:
    """Check all kernels on a device; write the file after each check, and the verdict at last."""
    device = torch.cuda.get_device_properties(index).name
    suite = gpu.suite_name(device).replace("gpu", "doctor", 1)
    record = {"suite": suite, **records.environment(), "device": device, "done": False}
    found: list[Row] = []

    def save() -> None:
        record["rows"] = [verification.to_dict(row) for row in found]
        record["operations"] = verification.operation_verdicts(found)
        records.save(suite, record, folder)

    def report(_: Check, rows: Sequence[Row]) -> None:
        found.extend(rows)
        save()
        print("\n".join(map(describe, rows)), flush=True)

    verification.run_checks(f"cuda:{index}", verification.REGISTRY, seconds, report)
    record["done"] = True
    save()
    verification.save(verdicts.machine(index), found)


def main(argv: Sequence[str] | None = None) -> int:
    """Check all kernels and write the file."""
    parser = gpu.new_parser("gpu_doctor", "Check the CUDA kernels of a device.")
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
    check_kernels(torch.cuda.current_device(), options.seconds, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
