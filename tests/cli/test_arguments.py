"""Help and mistakes in the arguments answer without torch; each command has its module."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys

import pytest

from tests.shared import ROOT
from torchmelinv.cli.main import make_parser

SECONDS = 0.3  # of processor time; on an idle machine about 0.1

PROGRAM = """
import json, sys, time
try:
    from torchmelinv.cli.main import main
    main(sys.argv[1:])
except SystemExit as error:
    print(json.dumps([error.code, "torch" in sys.modules, time.process_time()]))
"""


def run_program(*arguments: str) -> tuple[str, int, bool, float]:
    """Run a command line in a process of its own.

    Returns its output, its exit code, whether it imported torch, and its processor seconds.
    """
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    *lines, last = done.stdout.splitlines()
    return "\n".join(lines) + done.stderr, *json.loads(last)


def commands() -> list[str]:
    """Return the names of the commands."""
    actions = make_parser()._actions
    (action,) = (each for each in actions if isinstance(each, argparse._SubParsersAction))
    return list(action.choices)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["--help"], 0, "mel files to audio files"),
        (["--version"], 0, "torchmelinv "),
        (["presets", "--help"], 0, "List the presets"),
        (["invert", "--help"], 0, "--phase"),
        (["invert", "a.npy", "-o", "a.wav", "--phase", "guess"], 2, "invalid choice: 'guess'"),
        ([], 2, "required: COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_and_mistakes_need_no_torch(arguments, exit_code, words):
    runs = [run_program(*arguments) for _ in range(2)]
    output, code, imported_torch, _ = runs[0]
    assert code == exit_code
    assert words in output
    assert not imported_torch
    assert min(seconds for *_, seconds in runs) < SECONDS


@pytest.mark.parametrize("name", commands())
def test_each_command_has_a_module(name):
    assert callable(importlib.import_module(f"torchmelinv.cli.{name}").run)


def test_the_version_names_that_of_torch(capsys):
    import torch

    with pytest.raises(SystemExit):
        make_parser().parse_args(["--version"])
    version = capsys.readouterr().out.split()[-1]
    assert torch.__version__.partition("+")[0] == version.partition("+")[0]
