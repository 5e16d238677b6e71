"""Signals while the command line starts, and how they are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shared import ROOT
from torchmelinv._utils.interrupts import exit_code, interrupt_message, is_command_line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["python", "-m", "torchmelinv", "presets"], True),
        (["python", "-W", "error", "-m", "torchmelinv"], True),
        (["python", "/usr/bin/torchmelinv", "presets"], True),
        (["python", "-m", "pytest", "torchmelinv"], False),
        (["python", "train.py"], False),
        (["python"], False),
    ],
)
def test_a_library_leaves_signals_alone(arguments, expected):
    assert is_command_line(arguments) == expected


def test_messages_and_codes():
    assert (interrupt_message(signal.SIGINT), exit_code(signal.SIGINT)) == ("interrupted", 130)
    assert interrupt_message(signal.SIGTERM) == "ended by SIGTERM"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("number", "message"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_no_traceback_while_torch_is_imported(number, message):
    command = [sys.executable, "-m", "torchmelinv", "presets"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "libtorch" not in maps.read_text() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (out, err) == ("", f"torchmelinv: error: {message}\n")
    assert process.returncode == 128 + number
