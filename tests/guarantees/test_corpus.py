"""A corpus is inverted exactly once.

Whenever a job is killed, nothing is lost, made twice or left half-written. The files do not depend
on the processes that share the work. Memory does not grow with the number of files.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.harness import ATTACK
from tests.shared import ROOT
from tests.tiny import TINY_ONE, console, tiny_mel, workplace  # noqa: F401

pytestmark = pytest.mark.usefixtures("workplace")

N_FILES = 30
BROKEN = (4, 9, 20)
N_WRITTEN = N_FILES - len(BROKEN) + 1  # a file holds two mels
INVERT = ["invert", "in", "--device", "cpu", *TINY_ONE, "-o"]


def make_corpus(seconds: float = 0.1) -> None:
    """Thirty mel files of many lengths in two folders, three of them broken."""
    Path("in/deep").mkdir(parents=True)
    for index in range(N_FILES):
        path = Path("in", "deep" if index % 3 else "", f"clip_{index:02d}.npy")
        mel = tiny_mel(seconds * (1 + index * 7 % 10 / 5), seed=index).numpy()
        np.save(path, np.stack([mel, mel])[:, None] if index == 11 else mel)
        if index in BROKEN:
            path.write_bytes(path.read_bytes()[: 20 * index])


def audio(folder: str) -> dict[str, bytes]:
    """The contents of all audio files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in Path(folder).rglob("*.wav")
        if path.name[0] != "."
    }


def entries(folder: str) -> list[dict]:
    """The readable entries of all manifests."""
    lines = []
    for path in Path(folder).glob("manifest-*.jsonl"):
        for line in path.read_bytes().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return [line for line in lines if "output" in line]


def entry_counts(folder: str) -> Counter[str]:
    return Counter(entry["output"] for entry in entries(folder))


# Imports torch once; for each line on stdin (rank, world size, command line) forks a process that
# inverts.
SERVER = """
import os, sys
import torch
from torchmelinv.cli.main import main
torch.set_num_threads(1)
for line in sys.stdin:
    os.environ["RANK"], os.environ["WORLD_SIZE"], *arguments = line.split()
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        os._exit(main(arguments))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
WORLDS = ((0, 1), (0, 2), (1, 2))  # rank, size
KILLS = max(10, 4 * ATTACK)


def wait_for_entries(more: int) -> None:
    """Wait for so many more entries, or until none has come for two seconds: the job is done."""
    before = count = len(entries("out"))
    last = time.monotonic()
    while count < before + more and time.monotonic() < last + 2:
        time.sleep(0.002)
        if len(entries("out")) > count:
            count, last = len(entries("out")), time.monotonic()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
def test_killed_at_random_moments(run):
    make_corpus()
    arguments = [*INVERT, "out", "--n-iter", "60"]
    assert run(*INVERT, "whole", *arguments[-2:])[0] == 1
    expected = audio("whole")
    assert len(expected) == N_WRITTEN
    generator, killed, code, world, finished = random.Random(1), 0, 0, (0, 1), {}
    with (
        Path("log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        ) as server,
    ):
        while killed < KILLS or world != (0, 1) or code < 0:
            world = generator.choice(WORLDS) if killed < KILLS else (0, 1)
            server.stdin.write(" ".join(map(str, [*world, *arguments])) + "\n")
            server.stdin.flush()
            child = int(server.stdout.readline())
            if killed < KILLS:
                wait_for_entries(generator.randint(0, 2))
                time.sleep(generator.uniform(0, 0.05))
                os.kill(child, signal.SIGKILL)
            code = int(server.stdout.readline())
            killed += code == -signal.SIGKILL
            written = audio("out")
            times = {name: Path("out", name).stat().st_mtime_ns for name in written}
            unchanged = {name: times.get(name) for name in finished}
            assert unchanged == finished, "a file is lost or made twice"
            assert all(expected[name] == written[name] for name in written), "half-written"
            # Files without an entry, whose process was killed before it, must be made again.
            finished = {entry["output"]: times[entry["output"]] for entry in entries("out")}
        server.stdin.close()
    assert code == 1  # three files are broken
    assert audio("out") == expected
    assert entry_counts("out") == dict.fromkeys(expected, 1)
    assert not list(Path("out").glob(".*"))
    log = Path("log").read_text()
    assert "Traceback" not in log
    assert re.search(
        rf"{N_FILES - len(BROKEN)} of {N_FILES} files done, \d+ of them by an earlier run, "
        rf"{len(BROKEN)} failed",
        log,
    )


def launch(run, monkeypatch, out: str, size: int, *options: str) -> list[tuple[int, str, str]]:
    """Run every rank of a world, one after the other."""
    results = []
    for rank in range(size):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(size))
        results.append(run(*INVERT, out, "--n-iter", "3", *options))
    monkeypatch.delenv("WORLD_SIZE")
    return results


def test_the_files_do_not_depend_on_the_processes(run, monkeypatch):
    make_corpus(0.05)
    launch(run, monkeypatch, "by_1", 1)
    expected = audio("by_1")
    assert len(expected) == N_WRITTEN
    for size, options in ((2, ()), (3, ("--batch", "4"))):
        results = launch(run, monkeypatch, f"by_{size}", size, *options)
        # With another code, the launcher would end the other processes.
        assert [code for code, _, _ in results] == [0] * size
        assert audio(f"by_{size}") == expected
        assert entry_counts(f"by_{size}") == dict.fromkeys(expected, 1)
        reports = "".join(out + err for _, out, err in results)
        assert reports.count("torchmelinv: error: in/") == len(BROKEN)
        assert all(f"rank {rank} of {size}: " in reports for rank in range(size))
    launch(run, monkeypatch, "by_3", 1)
    assert all(len(list(Path("by_3").glob(f"manifest-{rank}.jsonl"))) for rank in range(3))
    assert entry_counts("by_3") == dict.fromkeys(expected, 1)


def test_strict_stops_at_the_first_broken_file(run, monkeypatch):
    make_corpus(0.05)
    code, _, err = run(*INVERT, "out", "--n-iter", "3", "--strict")
    assert code == 1
    assert err.count("torchmelinv: error: in/") >= 1
    assert re.search(rf" of {N_FILES} files done, 1 failed, \d+ remaining", err)
    assert len(audio("out")) == len(entries("out")) < N_WRITTEN
    assert {code for code, _, _ in launch(run, monkeypatch, "both", 2, "--strict")} == {1}


@pytest.mark.slow
def test_torchrun_starts_two_processes(run):
    make_corpus()
    run(*INVERT, "by_1", "--n-iter", "3")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "torchmelinv", *INVERT, "by_2", "--n-iter", "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert audio("by_2") == audio("by_1")
    assert all(f"rank {rank} of 2: " in done.stdout + done.stderr for rank in range(2))


GROWTH = """
import os, sys, torch
from pathlib import Path
from tests.tiny import TINY, tiny_mel
import numpy as np
from torchmelinv import MelInverter
from torchmelinv.corpus import Manifest, inversion_settings, invert_files, plan, split_tasks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

torch.set_num_threads(1)
count, mel = int(sys.argv[1]), tiny_mel(0.01).numpy()
Path("many").mkdir()
for index in range(count):
    np.save(f"many/{index:05d}.npy", mel)
inverter = MelInverter(TINY, "transpose", n_iter=0, init="zero")
with Manifest(Path("out"), inversion_settings(inverter)) as manifest:
    _, remaining = split_tasks(plan(["many"], "out"), TINY.n_mels, manifest)
    outcomes = invert_files(remaining, inverter, manifest=manifest)
    for done, outcome in enumerate(outcomes, 1):
        assert outcome.error is None
        if done == count // 4:
            start = resident()
    print((resident() - start) / (done - count // 4))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("count", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_number_of_files(count):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", GROWTH, str(count)]
    done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    # Bytes per file. Its mel and waveform have 1300, its entry 700.
    assert float(done.stdout) < 1000
    assert len(list(Path("out").glob("*.wav"))) == count
