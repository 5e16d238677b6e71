"""`torchmelinv completion`: a script that completes commands, options and files in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from torchmelinv._utils.optional import require
from torchmelinv.cli.console import EXIT_OK

# Words of a metavar that stand for a path.
_PATHS = ("DIR", "FIGURE", "FILE", "INPUT", "MEL", "OUT")


def run(options: argparse.Namespace) -> int:
    """Print the script and return the exit code."""
    from torchmelinv.cli.main import make_parser  # imports this module by its name

    shtab = require("shtab", "completion")
    parser = make_parser()
    for action in _actions(parser):
        if any(word in str(action.metavar) for word in _PATHS):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
    return EXIT_OK


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
