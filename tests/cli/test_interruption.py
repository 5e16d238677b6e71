"""Signals end every command with a count, a message and the signal's exit code."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import QUICK, TINY_ONE, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.cli.interruption import Interrupted, signals_interrupt
from torchmelinv.cli.progress import Progress

pytestmark = [
    pytest.mark.usefixtures("workplace"),
    pytest.mark.skipif(os.name == "nt", reason="signals of Unix"),
]
COMMANDS = {
    "invert": ["invert", "in", "-o", "out", *QUICK],
    "convert": ["convert", "in", "-o", "out", "--from", "tiny.json", "--to", "tiny.json"],
    "evaluate": ["evaluate", "--reference", "in", "--generated", "in", *TINY_ONE],
    "statistics": ["statistics", "in", "-o", "out.json", *TINY_ONE],
}


@pytest.fixture
def default_hang_up():
    """Let SIGHUP end this process, in one test only: a run under nohup outlives its terminal."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, previous)


@pytest.mark.usefixtures("default_hang_up")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_with_a_count(run, monkeypatch, command, name):
    Path("in").mkdir()
    for index in range(9):
        np.save(f"in/{index}.npy", tiny_mel(0.05, seed=index).numpy())
    number, add = getattr(signal, name), Progress.add
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(number)

    def add_and_end(progress, *arguments):
        add(progress, *arguments)
        if int(progress._done) == 2:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Progress, "add", add_and_end)
    code, _, err = run(*COMMANDS[command])
    assert code == 128 + number
    message = "interrupted" if name == "SIGINT" else f"ended by {name}"
    count, *notes, end = err.splitlines()
    assert count.startswith("torchmelinv: error: 2 of 9 files ")
    assert "7 remaining" in count
    assert end == f"torchmelinv: error: {message}"
    resumes = "torchmelinv: note: out keeps what is done; the same command goes on from there"
    lost = "torchmelinv: note: nothing is kept; with --scores DIR, the same command would go on"
    assert notes == {"invert": [resumes], "evaluate": [lost]}.get(command, [])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(number)) == handlers
    assert not [path for path in Path().rglob(".*") if path.is_file()]


def test_handlers_of_the_program_stay():
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_interrupt():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            with pytest.raises(Interrupted) as caught:
                signal.raise_signal(signal.SIGINT)
        assert caught.value.number == signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_other_threads_change_no_handler():
    done = []

    def work():
        with signals_interrupt():
            done.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGTERM)]
