"""What an attack may come to: a right value, or one error of our own, soon, in memory that a file's size allows."""

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
except ImportError:  # Windows: there nothing holds memory and time back, and all else is tested
    resource = None

MANY = pytest.mark.parametrize("many", [1, pytest.param(20, marks=pytest.mark.slow)])
SECONDS = 10  # for one case; a case takes milliseconds, but the machine may have other things to do
MEMORY = 2**29  # bytes on top of what the process has; of small files `containers.most_bytes` allows half of that
WIDER = 2**31  # the same for jobs, whose threads reserve address space that they do not use


@contextlib.contextmanager
def bounded(memory: int = MEMORY) -> Iterator[None]:
    """No hang, and no memory beyond what there is already: the first raises here, the second is a MemoryError there."""

    def too_long(*_: Any) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    status = Path("/proc/self/statm")
    timed, limited = hasattr(signal, "SIGALRM"), resource is not None and status.exists()
    if timed:
        before = signal.signal(signal.SIGALRM, too_long)
        signal.alarm(SECONDS)
    if limited:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (int(status.read_text().split()[0]) * resource.getpagesize() + memory, hard))
    try:
        yield
    finally:
        if limited:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        if timed:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)


def outcome(work: Callable[[], Any]) -> Any:
    """What `work` returns, or its error, which is ours and was not raised in place of a lack of memory; else the test fails."""
    try:
        with bounded():
            return work()
    except TorchmelinvError as ours:
        found = ours
    assert 0 < len(str(found)) < 4000, "an error to be read"
    assert not isinstance(found.__context__, MemoryError | TimeoutError), "more memory or time than a file's size allows"
    assert "allocate" not in str(found)
    return found


def fuzz(check: Callable[[Any], object], cases: st.SearchStrategy[Any], count: int, many: int = 1) -> None:
    """`check(case)` for `count` cases, the same each time; with `many` above 1 so many times more, and others each time."""
    quick = settings(max_examples=count * many, derandomize=many == 1, deadline=None, database=None,
                     suppress_health_check=list(HealthCheck), print_blob=False)
    tried = 0

    @quick
    @given(cases)
    def run(case: Any) -> None:
        nonlocal tried
        tried += 1
        check(case)

    run()
    assert tried >= count * many, "hypothesis found fewer different cases"


@st.composite
def damaged(draw: st.DrawFn, content: bytes, head: int = 0) -> bytes:
    """A file's content with some of its bytes changed, cut, doubled or put elsewhere; often in its first `head` bytes."""
    for _ in range(draw(st.integers(1, 4))):
        reach = len(content) if head == 0 or draw(st.integers(0, 3)) == 0 else min(head, len(content))
        place = draw(st.integers(0, max(reach - 1, 0)))
        end = draw(st.integers(place, min(len(content), place + 64)))
        kind = draw(st.integers(0, 6))
        if kind == 0:
            content = content[:place]
        elif kind == 1 and content:
            content = content[:place] + bytes([content[place] ^ (1 << draw(st.integers(0, 7)))]) + content[place + 1 :]
        elif kind == 2:
            content = content[:place] + draw(st.binary(max_size=16)) + content[end:]
        elif kind == 3:
            content = content[:place] + content[end:]
        elif kind == 4:
            content = content[:end] + content[place:end] * draw(st.integers(1, 3)) + content[end:]
        elif kind == 5:
            content = content[:place] + b"\xff" * draw(st.sampled_from([1, 2, 4, 8])) + content[end:]
        else:
            width = draw(st.sampled_from([1, 2, 4, 8]))
            number = draw(st.one_of(st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**63 - 1, 2**40]), st.integers(0, 2**64 - 1)))
            content = content[:place] + (number % 2 ** (8 * width)).to_bytes(width, "little") + content[place + width :]
    return content


# A fresh process where any socket, program or written file is an error, tries all of its
# paths by one of our readers, and says for each what came and how much more memory it ever had.
ALONE = """
import json, sys
import torch
from tests.peak import peak
from torchmelinv import cli, files
from torchmelinv.errors import TorchmelinvError
import soundfile, soxr, safetensors.torch, numpy.testing

torch.set_num_threads(1)

def watch(event, details):
    if event.split(".")[0] in ("socket", "subprocess", "ctypes") or event.startswith("os.system") or event == "os.exec":
        raise RuntimeError(event)
    if event == "open" and isinstance(details[1], str) and set(details[1]) & set("wax+"):
        raise RuntimeError(f"{event} {details[0]}")

reader, *paths = sys.argv[1:]
sys.addaudithook(watch)
had = peak()
for path in paths:
    try:
        found = getattr(files, reader)(path)
        said = list(found[0].shape if isinstance(found, tuple) else found.shape)
    except TorchmelinvError as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([said, peak() - had]), flush=True)
"""


def read_alone(reader: str, paths: list[Path]) -> list[tuple[Any, int]]:
    """Of each file the shape that `files.<reader>` gives in a process of its own, or its error; and the bytes of its peak."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", ALONE, reader, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]
