"""`python -m benchmarks.corpus`: inversion of many files, by one process and by two.

Each process has one thread. The comparison of processes needs a core for each.
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
from benchmarks import records, tables
from benchmarks.measurement import Seconds, alternate, quiet_rounds, ratios
from benchmarks.recordings import speech
from benchmarks.records import CheckFailed, Record, check
from torchmelinv.corpus import Manifest, inversion_settings, invert_files, plan, split_tasks
from torchmelinv.io.audio import write_audio

CONVENTION = "hifigan_22k"
FILES = 32
SECONDS = (1.0, 5.0)  # of the shortest and the longest file
REPEATS = 3
PATIENCE = 30.0  # most seconds of repeated rounds in a comparison, see `quiet_rounds`
PROCESSES = {"two processes": 2, "one process": 1}
SPEED_TARGETS = {"invert_files": {"MelInverter": 0.85}, "two processes": {"one process": 1.6}}


def make_mels(folder: Path) -> tuple[list[Path], str]:
    """Write mels of speech with different lengths; return their paths and the speech's source."""
    mel_spectrogram = tmi.MelSpectrogram(CONVENTION)
    rate = mel_spectrogram.convention.sample_rate
    waveforms, source = speech(FILES, int(SECONDS[1] * rate), rate)
    durations = np.random.default_rng(0).permutation(np.linspace(*SECONDS, FILES))
    folder.mkdir()
    paths = [folder / f"{index:02d}.npy" for index in range(FILES)]
    for path, waveform, seconds in zip(paths, waveforms, durations, strict=True):
        np.save(path, mel_spectrogram(waveform[: int(seconds * rate)]).numpy())
    return paths, source


def audio_seconds(paths: list[Path]) -> float:
    """Return the duration of all mels."""
    n_frames = sum(np.load(path, mmap_mode="r").shape[-1] for path in paths)
    convention = tmi.preset(CONVENTION)
    return round(n_frames * convention.hop_length / convention.sample_rate, 1)


def overhead(paths: list[Path], folder: Path) -> Record:
    """Compare `invert_files` with `MelInverter` on mels in memory.

    `invert_files` also reads, measures the mel error, writes, and enters files in the manifest.
    """
    inverter = tmi.MelInverter(CONVENTION)
    mels = [torch.from_numpy(np.load(path)) for path in paths]
    outputs = (folder / f"out_{number}" for number in itertools.count())

    def from_memory() -> list[torch.Tensor]:
        with torch.inference_mode():
            return [inverter(mel) for mel in mels]

    def from_files() -> Path:
        output = next(outputs)
        with Manifest(output, inversion_settings(inverter)) as manifest:
            tasks = plan([paths[0].parent], output)
            _, remaining = split_tasks(tasks, inverter.convention.n_mels, manifest)
            for outcome in invert_files(remaining, inverter, manifest=manifest):
                if outcome.error:
                    raise CheckFailed(f"{outcome.input}: {outcome.error}")
        return output

    output, n_different, expected = from_files(), 0, folder / "expected.wav"
    for path, waveform in zip(paths, from_memory(), strict=True):
        write_audio(expected, waveform, inverter.convention.sample_rate)
        written = output / path.with_suffix(".wav").name
        n_different += written.read_bytes() != expected.read_bytes()
    checks = [check("files that differ from the waveform of MelInverter", n_different, at_most=0)]
    thread_seconds: Seconds = {"invert_files": [], "MelInverter": []}
    functions = {
        "invert_files": metered(from_files, thread_seconds["invert_files"]),
        "MelInverter": metered(from_memory, thread_seconds["MelInverter"]),
    }
    seconds, rounds = alternate(functions, REPEATS, PATIENCE)
    medians = {name: round(statistics.median(runs), 3) for name, runs in thread_seconds.items()}
    case = entry(f"{FILES} files", "invert_files", seconds, rounds, checks)
    return {**case, "compute_thread_seconds": medians}


def metered(function: Callable[[], object], seconds: list[float]) -> Callable[[], object]:
    """Return a function that also notes the processor time of its thread.

    Other processes hardly change that time.
    """

    def run() -> None:
        start = time.thread_time()
        function()
        seconds.append(time.thread_time() - start)

    return run


def processes(paths: list[Path], folder: Path) -> Record:
    """Compare one process with two, started by torchrun; the time is that of the slower process."""
    seconds: Seconds = {name: [] for name in PROCESSES}

    def run_round() -> None:
        for name, count in PROCESSES.items():
            seconds[name].append(round(_launch(count, paths[0].parent, folder), 3))

    rounds = quiet_rounds(run_round, seconds, REPEATS, PATIENCE)
    two, one = (
        {path.name: path.read_bytes() for path in _output(folder, count).glob("*.wav")}
        for count in PROCESSES.values()
    )
    n_different = sum(two.get(name) != content for name, content in one.items())
    checks = [
        check("files by one process", len(one), at_least=FILES),
        check("files that differ between one and two processes", n_different, at_most=0),
    ]
    return entry(f"{FILES} files, torchrun", "two processes", seconds, rounds, checks)


def _output(folder: Path, count: int) -> Path:
    return folder / f"{count}_processes"


def _launch(count: int, mels: Path, folder: Path) -> float:
    """Run the command with torchrun; return its seconds without the start of the processes."""
    output, logs = _output(folder, count), Path(tempfile.mkdtemp(dir=folder))
    shutil.rmtree(output, ignore_errors=True)
    launcher = ["torch.distributed.run", "--nproc-per-node", str(count)]
    launcher += ["--log-dir", str(logs), "--redirects", "3"]
    command = ["torchmelinv", "invert", str(mels), "-o", str(output)]
    command += ["--convention", CONVENTION, "--json"]
    subprocess.run(
        [sys.executable, "-m", *launcher, "-m", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        check=True,
    )
    reports = [json.loads(path.read_text()) for path in logs.rglob("stdout.log")]
    check("processes with a report", len(reports), at_least=count)
    return max(report["elapsed_seconds"] for report in reports)


def entry(title: str, ours: str, seconds: Seconds, rounds: Record, checks: list[Record]) -> Record:
    """Return the entry of a comparison for the file."""
    return {
        "title": title,
        "ours": ours,
        "seconds": seconds,
        "rounds": rounds,
        "times_faster": ratios(seconds, ours),
        "targets": SPEED_TARGETS[ours],
        "checks": checks,
    }


def main() -> int:
    """Measure, write `results/corpus.json` and the tables, and print the targets."""
    torch.set_num_threads(1)
    record: Record = {
        "suite": "corpus",
        **records.environment(),
        "repeats": REPEATS,
        "files": FILES,
        "convention": CONVENTION,
    }
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name), time.perf_counter()
        paths, record["signal"] = make_mels(folder / "mels")
        record["audio_seconds"] = audio_seconds(paths)
        record["cases"] = [overhead(paths, folder), processes(paths, folder)]
    for case in record["cases"]:
        for other, target in case["targets"].items():
            speed, load = case["times_faster"][other], case["rounds"]["background_load"]
            verdict = "reached" if speed >= target else "not reached"
            print(
                f"{case['title']}: {case['ours']} at {speed:.2f} times the speed of {other}, "
                f"target {target:g}: {verdict}; "
                f"other processes used {100 * load:.0f} % of the machine"
            )
    records.save("corpus", record)
    tables.write_pages()
    print(f"{time.perf_counter() - start:.0f} s in total")
    return 0


if __name__ == "__main__":
    sys.exit(main())
