"""`python -m benchmarks.corpus`: what a job with many files takes beside the bare inverter, and two processes beside one.

Everything computes with one thread. The second comparison needs a core for each process.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import torchmelinv as tmi
from benchmarks import common, tables
from benchmarks.common import Record, check
from torchmelinv.files import write_audio
from torchmelinv.jobs.invert_files import divide, invert_files
from torchmelinv.jobs.manifest import Manifest, settings
from torchmelinv.jobs.plan import plan

CONVENTION = "hifigan_22k"
FILES = 32
SECONDS = (1.0, 5.0)  # of the shortest and the longest file
REPEATS = 3
PATIENCE = 30.0  # seconds of waiting for others to be quiet, in each comparison
RANKS = {"two processes": 2, "one process": 1}


def make_mels(folder: Path) -> tuple[list[Path], str]:
    """Mels of speech, of many lengths; their paths, and where the speech comes from."""
    analyzer = tmi.MelAnalyzer(CONVENTION)
    rate = analyzer.convention.sample_rate
    waveforms, source = common.speech(FILES, int(SECONDS[1] * rate), rate)
    lengths = np.random.default_rng(0).permutation(np.linspace(*SECONDS, FILES))
    folder.mkdir()
    paths = [folder / f"{index:02d}.npy" for index in range(FILES)]
    for path, waveform, length in zip(paths, waveforms, lengths, strict=True):
        np.save(path, analyzer(waveform[: int(length * rate)]).numpy())
    return paths, source


def overhead(mels: list[Path], place: Path) -> Record:
    """Reading, inverting, looking how close it came, writing and the manifest, beside inverting alone what lies in memory."""
    inverter = tmi.MelInverter(CONVENTION)
    tensors = [torch.from_numpy(np.load(path)) for path in mels]
    outputs = (place / f"out_{number}" for number in itertools.count())

    def bare() -> list[torch.Tensor]:
        with torch.inference_mode():
            return [inverter(mel) for mel in tensors]

    def job() -> Path:
        out = next(outputs)
        with Manifest(out, settings(inverter)) as manifest:
            _, left = divide(plan([mels[0].parent], out), inverter.convention.n_mels, manifest)
            for outcome in invert_files(left, inverter, manifest=manifest):
                if outcome.error:
                    raise common.CheckFailed(f"{outcome.input}: {outcome.error}")
        return out

    out, different = job(), 0
    for path, waveform in zip(mels, bare(), strict=True):
        write_audio(place / "alone.wav", waveform, inverter.convention.sample_rate)
        different += (out / path.with_suffix(".wav").name).read_bytes() != (place / "alone.wav").read_bytes()
    checks = [check("files that differ from the bare inverter's waveform", different, at_most=0)]
    computing: common.Seconds = {"the job": [], "the bare inverter": []}
    contestants = {name: metered(run, computing[name]) for name, run in (("the job", job), ("the bare inverter", bare))}
    seconds, rounds = common.alternate(contestants, REPEATS, PATIENCE)
    found = entry(f"{FILES} files", "the job", seconds, rounds, {"the bare inverter": 0.85}, checks)
    return {**found, "computing_thread_seconds": {name: round(statistics.median(each), 3) for name, each in computing.items()}}


def metered(run: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """`run`, noting the processor time of the thread that computes, which others on the machine hardly lengthen."""
    def metering() -> None:
        start = time.thread_time()
        run()
        seconds.append(time.thread_time() - start)

    return metering


def ranks(mels: list[Path], place: Path) -> Record:
    """One process and two, started by torchrun, each with one thread; the time of the slower one, without its start."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    outputs: dict[str, Path] = {}

    def launch(name: str) -> float:
        out, logs = place / f"by_{RANKS[name]}", Path(tempfile.mkdtemp(dir=place))
        shutil.rmtree(out, ignore_errors=True)
        outputs[name] = out
        launcher = ["torch.distributed.run", "--nproc-per-node", str(RANKS[name]), "--log-dir", str(logs), "--redirects", "3"]
        job = ["torchmelinv", "invert", str(mels[0].parent), "-o", str(out), "--convention", CONVENTION, "--json"]
        subprocess.run([sys.executable, "-m", *launcher, "-m", *job], env=environment, capture_output=True, check=True)
        reports = [json.loads(path.read_text()) for path in logs.rglob("stdout.log")]
        check("processes that reported", len(reports), at_least=RANKS[name])
        return max(report["elapsed_seconds"] for report in reports)

    seconds: common.Seconds = {name: [] for name in RANKS}

    def one_round() -> None:
        for name in RANKS:
            seconds[name].append(round(launch(name), 3))

    rounds = common.quiet_rounds(one_round, seconds, REPEATS, PATIENCE)
    two, one = ({path.name: path.read_bytes() for path in outputs[name].glob("*.wav")} for name in RANKS)
    checks = [
        check("files that one process made", len(one), at_least=FILES),
        check("files of which two processes made other bytes", sum(two.get(name) != one[name] for name in one), at_most=0),
    ]
    return entry(f"{FILES} files, torchrun", "two processes", seconds, rounds, {"one process": 1.6}, checks)


def entry(
    title: str, ours: str, seconds: common.Seconds, rounds: Record, at_least: dict[str, float], checks: list[Record]
) -> Record:
    """A comparison for the file."""
    faster = {name: round(common.ratio(seconds, name, ours), 3) for name in seconds if name != ours}
    return {"title": title, "ours": ours, "seconds": seconds, "rounds": rounds, "times_faster": faster, "at_least": at_least,
            "checks": checks}


def main() -> int:
    """Measure, write `results/corpus.json` and the table, and say which targets are missed."""
    torch.set_num_threads(1)
    record: Record = {"suite": "corpus", **common.surroundings(), "repeats": REPEATS, "files": FILES, "convention": CONVENTION}
    with tempfile.TemporaryDirectory() as folder:
        place, start = Path(folder), time.perf_counter()
        mels, record["signal"] = make_mels(place / "mels")
        frames = sum(np.load(path, mmap_mode="r").shape[-1] for path in mels)
        record["audio_seconds"] = round(frames * tmi.preset(CONVENTION).hop_length / tmi.preset(CONVENTION).sample_rate, 1)
        record["cases"] = [overhead(mels, place), ranks(mels, place)]
    for case in record["cases"]:
        for other, wanted in case["at_least"].items():
            found, others = case["times_faster"][other], case["rounds"]["others_share"]
            verdict = "reached" if found >= wanted else "missed"
            print(f"{case['title']}: {case['ours']} at {found:.2f} of the speed of {other}, {wanted:g} wanted: {verdict}; "
                  f"others took {others:.0%} of the machine")
    common.save("corpus", record)
    tables.write_pages()
    print(f"{time.perf_counter() - start:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
