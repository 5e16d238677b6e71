"""Fuzzing: a result must be right, or one of our errors, soon, in memory bounded by file sizes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.shared import ROOT
from torchmelinv.errors import TorchmelinvError

try:
    import resource
except ImportError:  # Windows has no limits of memory and time; all else is tested there
    resource = None

# `make attack` multiplies the cases of all tests that are marked slow.
ATTACK = int(os.environ.get("TORCHMELINV_ATTACK", "1"))
MANY = pytest.mark.parametrize("many", [1, pytest.param(20 * ATTACK, marks=pytest.mark.slow)])
SECONDS = 10  # limit of a case, which takes milliseconds unless the machine is busy
# Bytes beyond those of the process. `safe_load.most_bytes` allows half of this for small files.
MEMORY = 2**29
WIDER = 2**31  # the same for corpora, whose threads reserve address space that they do not use


@contextlib.contextmanager
def bounded(memory: int = MEMORY) -> Iterator[None]:
    """Raise TimeoutError after too long, and MemoryError at allocations beyond `memory` bytes."""

    def time_out(*_: Any) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    status = Path("/proc/self/statm")
    timed, limited = hasattr(signal, "SIGALRM"), resource is not None and status.exists()
    if timed:
        handler = signal.signal(signal.SIGALRM, time_out)
        signal.alarm(SECONDS)
    if limited:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        in_use = int(status.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + memory, hard))
    try:
        yield
    finally:
        if limited:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        if timed:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, handler)


def outcome(work: Callable[[], Any]) -> Any:
    """Return the result of `work`, or its error, which must be ours and not hide a MemoryError."""
    try:
        with bounded():
            return work()
    except TorchmelinvError as caught:
        error = caught
    assert 0 < len(str(error)) < 4000, "the message is empty or too long"
    exceeded = isinstance(error.__context__, MemoryError | TimeoutError)
    assert not exceeded, "more memory or time than a file's size allows"
    assert "allocate" not in str(error)
    return error


def fuzz(
    check: Callable[[Any], object], cases: st.SearchStrategy[Any], count: int, many: int = 1
) -> None:
    """Call `check(case)` for `count` · `many` cases.

    With `many` = 1 the cases are the same in each run, else they differ.
    """
    options = settings(
        max_examples=count * many,
        derandomize=many == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    n_cases = 0

    @options
    @given(cases)
    def run(case: Any) -> None:
        nonlocal n_cases
        n_cases += 1
        check(case)

    run()
    assert n_cases >= count * many, "hypothesis found fewer different cases"


@st.composite
def damaged(draw: st.DrawFn, content: bytes, head: int = 0) -> bytes:
    """Return a file's content with some bytes changed, removed, repeated or inserted.

    Most changes are in its first `head` bytes, or anywhere if `head` is 0.
    """
    for _ in range(draw(st.integers(1, 4))):
        anywhere = head == 0 or draw(st.integers(0, 3)) == 0
        reach = len(content) if anywhere else min(head, len(content))
        start = draw(st.integers(0, max(reach - 1, 0)))
        end = draw(st.integers(start, min(len(content), start + 64)))
        content = _damage(draw, content, start, end)
    return content


def _damage(draw: st.DrawFn, content: bytes, start: int, end: int) -> bytes:
    before, between, after = content[:start], content[start:end], content[end:]
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return before
    if kind == 1:
        if not content:
            return content
        return (
            before + bytes([content[start] ^ (1 << draw(st.integers(0, 7)))]) + content[start + 1 :]
        )
    if kind == 2:
        return before + draw(st.binary(max_size=16)) + after
    if kind == 3:
        return before + after
    if kind == 4:
        return before + between + between * draw(st.integers(1, 3)) + after
    if kind == 5:
        return before + b"\xff" * draw(st.sampled_from([1, 2, 4, 8])) + after
    width = draw(st.sampled_from([1, 2, 4, 8]))
    extremes = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**40])
    number = draw(st.one_of(extremes, st.integers(0, 2**64 - 1))) % 2 ** (8 * width)
    return before + number.to_bytes(width, "little") + content[start + width :]


# A fresh process in which any socket, program or written file is an error. It reads each path with
# one of our readers, and prints the result and how far its peak of memory had risen by then.
READ_ISOLATED = """
import json, sys
import torch
from tests.peak import peak
from torchmelinv.cli import main as cli
from torchmelinv.errors import TorchmelinvError
from torchmelinv.io.audio import read_audio
from torchmelinv.io.mels import read_mel
import soundfile, soxr, safetensors.torch, numpy.testing

torch.set_num_threads(1)

def audit(event, details):
    forbidden = event.split(".")[0] in ("socket", "subprocess", "ctypes")
    if forbidden or event.startswith("os.system") or event == "os.exec":
        raise RuntimeError(event)
    if event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"):
        raise RuntimeError(f"{event} {details[0]}")

read = {"read_audio": read_audio, "read_mel": read_mel}[sys.argv[1]]
sys.addaudithook(audit)
peak_before = peak()
for path in sys.argv[2:]:
    try:
        result = read(path)
        report = list(result[0].shape if isinstance(result, tuple) else result.shape)
    except TorchmelinvError as error:
        report = f"{type(error).__name__}: {error}"
    print(json.dumps([report, peak() - peak_before]), flush=True)
"""


def read_isolated(reader: str, paths: list[Path]) -> list[tuple[Any, int]]:
    """Return for each file the shape or error of a reader in a new process, and its peak memory.

    `reader` is "read_audio" or "read_mel"; the peak is in bytes above the process without files.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", READ_ISOLATED, reader, *map(str, paths)]
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return [tuple(json.loads(line)) for line in process.stdout.splitlines()]
