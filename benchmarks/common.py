"""What the benchmarks share: the machine in words, recordings, alternating timed runs, and the files that hold the results."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv.demo import signal
from torchmelinv.files import aside, read_audio

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
AUDIO = Path(os.environ.get("TORCHMELINV_SHARED", ROOT.parent / "shared")) / "audio"
THREADS = 2
REPEATS = 5

Record = dict[str, Any]


class CheckFailed(Exception):
    """A result is not right, so its time is not worth a number."""


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def surroundings() -> Record:
    """Machine, versions and date of a run; nothing that names the host or its folders."""
    packages = ("torchmelinv", "torch", "torchaudio", "librosa", "numpy", "scipy")
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": platform.system(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}},
    }


def clips(kinds: Iterable[str]) -> list[Path]:
    """Recordings of these kinds (`speech`, `music`, `percussion`) beside the checkout, sorted; empty where there are none."""
    return sorted(path for kind in kinds for path in AUDIO.glob(f"{kind}_*"))


def read_mono(path: Path, sample_rate: float, seconds: float | None = None) -> Tensor:
    """The first seconds of a recording as (n_samples,) at `sample_rate`; channels are averaged."""
    waveform = read_audio(path, sample_rate)[0].mean(0)
    return waveform if seconds is None else waveform[: round(seconds * sample_rate)]


def speech(n_items: int, n_samples: int, sample_rate: float) -> tuple[Tensor, str]:
    """Real speech (n_items, n_samples), clips put end to end, and its source in words; without recordings the demo's voice."""
    wanted = n_items * n_samples
    parts, source = [read_mono(path, sample_rate) for path in clips(["speech"])], "recorded speech"
    if not parts:
        parts, source = [signal(sample_rate=sample_rate)], "the demo's synthetic voice"
    joined = torch.cat(parts)
    return joined.repeat(-(-wanted // len(joined)))[:wanted].reshape(n_items, n_samples), source


def alternate(contestants: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, list[float]]:
    """Seconds of each contestant's runs: each once to warm up, then A B C A B C …, so that what drifts drifts for all."""
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds[name].append(round(time.perf_counter() - start, 6))
    return seconds


def ratio(seconds: dict[str, list[float]], peer: str, ours: str) -> float:
    """How many times longer the peer's median run takes than ours."""
    return statistics.median(seconds[peer]) / statistics.median(seconds[ours])


def check(what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> Record:
    """An entry for the file, or `CheckFailed`."""
    good = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    if not good:
        raise CheckFailed(f"{what}: {value:.4g}, but it must be " + (f"≤ {at_most:g}" if at_least is None else f"≥ {at_least:g}"))
    limit = {"at_most": at_most} if at_least is None else {"at_least": at_least}
    return {"what": what, "value": float(f"{value:.6g}"), **limit}


def means(clips: list[Record], name: str) -> dict[str, float]:
    """Average of every metric of one method over the clips."""
    return {metric: statistics.fmean(clip["scores"][name][metric] for clip in clips) for metric in clips[0]["scores"][name]}


def save(suite: str, record: Record) -> None:
    """Write `benchmarks/results/<suite>.json`."""
    with aside(RESULTS / f"{suite}.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(suite: str) -> Record:
    """What `save` wrote last."""
    return json.loads((RESULTS / f"{suite}.json").read_text(encoding="utf-8"))
