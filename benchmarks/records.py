"""Result files: what was measured, on which machine, and the checks that passed before."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

import torchmelinv
from torchmelinv.io.paths import atomic_write

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "torchaudio", "librosa", "numpy", "scipy")

Record = dict[str, Any]  # the content of a JSON file, or a part of it


class CheckFailed(Exception):
    """A result is wrong, so its time is not recorded."""


def check(
    what: str, value: float, *, at_most: float | None = None, at_least: float | None = None
) -> Record:
    """Return the entry of a check for the file; raise `CheckFailed` if it does not hold."""
    if at_least is None:
        holds, limit, bound = value <= at_most, {"at_most": at_most}, f"≤ {at_most:g}"
    else:
        holds, limit, bound = value >= at_least, {"at_least": at_least}, f"≥ {at_least:g}"
    if not holds:
        raise CheckFailed(f"{what}: {value:.4g}, but it must be {bound}")
    return {"what": what, "value": float(f"{value:.6g}"), **limit}


def environment() -> Record:
    """Return machine, versions and date of a run, without the names of the host and its folders."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": platform.system(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "python": platform.python_version(),
            "torchmelinv": torchmelinv.__version__,
            **_versions(PACKAGES),
        },
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    versions = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def save(suite: str, record: Record, folder: Path | None = None) -> None:
    """Write `<suite>.json` into a folder, by default `benchmarks/results`.

    The innermost lists and objects stand on one line each.
    """
    text = json.dumps(record, indent=1, ensure_ascii=False)
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda match: " ".join(match[0].split()), text)
    with atomic_write((folder or RESULTS) / f"{suite}.json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load(suite: str, folder: Path | None = None) -> Record:
    """Return the record that `save` wrote last."""
    return json.loads(((folder or RESULTS) / f"{suite}.json").read_text(encoding="utf-8"))
