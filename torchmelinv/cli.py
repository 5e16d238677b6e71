"""The command line: it parses, calls a command, and returns its exit code. Each command is a file of `commands/`.

Exit codes: 0 done, 1 some items failed, 2 a mistake in what was asked for, 130 interrupted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

import torchmelinv
from torchmelinv.commands import convert, evaluate, inspect, invert, presets, roundtrip
from torchmelinv.jobs.console import PROGRAM, guarded
from torchmelinv.ops.backend import asked

COMMANDS = (invert, roundtrip, convert, evaluate, presets, inspect)


def parser() -> argparse.ArgumentParser:
    """Everything that can be asked for."""
    codes = "exit codes: 0 done, 1 some files failed, 2 a mistake in what was asked for, 130 interrupted"
    top = argparse.ArgumentParser(prog=PROGRAM, description="Mel spectrograms back into audio, without a vocoder.", epilog=codes)
    top.add_argument("--version", action="version", version=f"{PROGRAM} {torchmelinv.__version__}, torch {torch.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` where none is given; the exit code."""
    options = parser().parse_args(argv)

    def run() -> int:
        asked()  # a misspelt backend is told here, not file by file
        return int(options.run(options))

    return guarded(run)
