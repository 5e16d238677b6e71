"""The entry point of the command line.

Exit codes: 0 done, 1 some files failed, 2 usage error, 130 interrupted (143 and 129 by SIGTERM and
SIGHUP).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
from collections.abc import Sequence
from typing import Any, NoReturn

import torchmelinv
from torchmelinv.cli.arguments import add_commands
from torchmelinv.cli.console import EXIT_USAGE, PROGRAM, handle_errors, print_message
from torchmelinv.errors import nearest

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line; the usage of a command is longer than a screen."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and report unknown options here, where those of the command are known."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            known = [name[2:] for name in self._option_string_actions if name.startswith("--")]
            hint = nearest(unknown[0].lstrip("-").partition("=")[0].replace("_", "-"), known)
            hint = hint.replace(" '", " --").replace("'", "")
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and exit."""
        print_message("error", f"{message}; `{self.prog} --help` shows all options")
        raise SystemExit(EXIT_USAGE)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog=PROGRAM,
        description="Invert mel spectrograms to audio, without a vocoder.",
        epilog="exit codes: 0 done, 1 some files failed, 2 usage error, 130 interrupted",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {torchmelinv.__version__}, torch {importlib.metadata.version('torch')}",
    )
    add_commands(
        parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: Arguments. Default: those of the process.

    Returns:
        The exit code.
    """
    options = make_parser().parse_args(argv)
    # Only now is torch imported: help and mistakes in the arguments have ended above.
    command = importlib.import_module(f"torchmelinv.cli.{options.command}")
    backend = importlib.import_module("torchmelinv.cuda.backend")

    def run() -> int:
        backend.requested_backend()  # reports a misspelled backend once, not for each file
        return int(command.run(options))

    return handle_errors(run)
