"""The entry point of the command line.

Exit codes: 0 done, 1 some files failed, 2 usage error, 130 interrupted (143 and 129 by SIGTERM and
SIGHUP).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

import torchmelinv
from torchmelinv.cli import (
    convert,
    doctor,
    evaluate,
    identify,
    invert,
    presets,
    roundtrip,
    statistics,
)
from torchmelinv.cli.console import PROGRAM, handle_errors
from torchmelinv.cuda.backend import requested_backend

__all__ = ["main"]

COMMANDS = (invert, roundtrip, convert, evaluate, statistics, presets, identify, doctor)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Invert mel spectrograms to audio, without a vocoder.",
        epilog="exit codes: 0 done, 1 some files failed, 2 usage error, 130 interrupted",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {torchmelinv.__version__}, torch {torch.__version__}",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: Arguments. Default: those of the process.

    Returns:
        The exit code.
    """
    options = make_parser().parse_args(argv)

    def run() -> int:
        requested_backend()  # reports a misspelled backend once, not for each file
        return int(options.run(options))

    return handle_errors(run)
