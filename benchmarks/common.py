"""What the benchmarks share: the machine in words, recordings, alternating timed runs, and the files that hold the results."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import torchmelinv
from torchmelinv.demo import signal
from torchmelinv.files import aside, read_audio

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
AUDIO = Path(os.environ.get("TORCHMELINV_SHARED", ROOT.parent / "shared")) / "audio"
THREADS = 2
REPEATS = 5
SECONDS_OF_A_RUN = 0.5
PACKAGES = ("torch", "torchaudio", "librosa", "numpy", "scipy")
MOST_OTHERS = 0.05  # of the machine, taken by other processes during a round that counts

Record = dict[str, Any]
Seconds = dict[str, list[float]]  # of each contestant, run by run


class CheckFailed(Exception):
    """A result is not right, so its time is not worth a number."""


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def surroundings() -> Record:
    """Machine, versions and date of a run; nothing that names the host or its folders."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "system": platform.system(),
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {"python": platform.python_version(), "torchmelinv": torchmelinv.__version__, **_versions(PACKAGES)},
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


def _busy() -> tuple[float, float]:
    """Seconds of processor time used on this machine, and by this process and its children; 0 where the system does not say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0, 0.0
    user, nice, system, _, _, *rest = (int(ticks) for ticks in stat.read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def others_share(run: Callable[[], object]) -> float:
    """The part of this machine's processor time that other processes took while `run` ran."""
    start, (all_before, own_before) = time.perf_counter(), _busy()
    run()
    (all_after, own_after), elapsed = _busy(), time.perf_counter() - start
    others = (all_after - all_before) - (own_after - own_before) - 0.03  # the clocks tick at a hundredth of a second
    return max(0.0, others / (elapsed * (os.cpu_count() or 1)))


def alternate(
    contestants: dict[str, Callable[[], object]], repeats: int = REPEATS, patience: float = 600
) -> tuple[Seconds, Record]:
    """Seconds of each contestant's runs, A B C A B C …, so that what drifts drifts for all.

    A run is as many calls as fill half a second, its time that of one call. It comes right after a call of the same contestant
    that does not count: whoever follows a library that leaves a core idle would otherwise lose up to a third of its speed.
    The second answer is that of `quiet_rounds`.
    """
    seconds: Seconds = {name: [] for name in contestants}

    def one_round() -> None:
        for name, run in contestants.items():
            run()
            calls, elapsed, start = 0, 0.0, time.perf_counter()
            while calls == 0 or elapsed < SECONDS_OF_A_RUN:
                run()
                calls, elapsed = calls + 1, time.perf_counter() - start
            seconds[name].append(round(elapsed / calls, 6))

    return seconds, quiet_rounds(one_round, seconds, repeats, patience)


def quiet_rounds(one_round: Callable[[], None], seconds: Seconds, repeats: int, patience: float) -> Record:
    """Do a round, which appends to `seconds`, until `repeats` of them were quiet.

    A round in which other processes took more than 5 % of the machine is thrown away whole, whoever won it, and done again
    after a pause, for at most `patience` seconds in all. The answer tells how many, and what the others took at most in the
    rounds that were kept.
    """
    shares: list[float] = []
    thrown_away, end = 0, time.perf_counter() + patience
    while len(shares) < repeats:
        share = others_share(one_round)
        if share > MOST_OTHERS and time.perf_counter() < end:
            thrown_away += 1
            for runs in seconds.values():
                runs.pop()
            time.sleep(1)
        else:
            shares.append(share)
    return {"thrown_away": thrown_away, "others_share": round(max(shares), 3)}


def ratio(seconds: Seconds, peer: str, ours: str) -> float:
    """How many times longer the peer's median run takes than ours."""
    return statistics.median(seconds[peer]) / statistics.median(seconds[ours])


def remembered(run: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the way back of what `run` computes, each storage once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(storages.values())


def check(what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> Record:
    """An entry for the file, or `CheckFailed`."""
    good = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    if not good:
        raise CheckFailed(f"{what}: {value:.4g}, but it must be " + (f"≤ {at_most:g}" if at_least is None else f"≥ {at_least:g}"))
    limit = {"at_most": at_most} if at_least is None else {"at_least": at_least}
    return {"what": what, "value": float(f"{value:.6g}"), **limit}


def save(suite: str, record: Record, folder: Path | None = None) -> None:
    """Write `<suite>.json` into `benchmarks/results` or another folder, innermost lists and objects on one line each."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda found: " ".join(found[0].split()), text)
    with aside((folder or RESULTS) / f"{suite}.json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load(suite: str, folder: Path | None = None) -> Record:
    """What `save` wrote last."""
    return json.loads(((folder or RESULTS) / f"{suite}.json").read_text(encoding="utf-8"))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the rest numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def where(record: Record) -> str:
    """Date, machine and versions of a record, in words."""
    machine, versions = record["machine"], record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "torchaudio", "librosa"))
    threads = f"{machine['threads']} of {machine['cores']} cores"
    return f"{record['date']}, {machine['cpu']} ({threads}), {packages}, Python {versions['python']}"
