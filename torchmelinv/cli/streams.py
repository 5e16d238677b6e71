"""Standard streams in place of files: ``-`` as input, and ``-o -`` as output.

A stream goes through a temporary file, so that reading and writing are those of all other files.
What a command would print on stdout goes to stderr while stdout carries the output.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from torchmelinv.errors import InputError

_MARK = "-"


def with_streams(
    run: Callable[[argparse.Namespace], int], *inputs: str, read: str, write: str
) -> Callable[[argparse.Namespace], int]:
    """Return a command that takes ``-`` for its input and its output.

    Args:
        run: The command.
        *inputs: Names of the options that hold input paths, as a string or a list.
        read: Suffix of what comes on stdin, such as ".npy".
        write: Suffix of what goes to stdout.

    Returns:
        The command with streams.
    """

    def run_with_streams(options: argparse.Namespace) -> int:
        output = getattr(options, "out", None)
        given = [getattr(options, name) for name in inputs]
        names = [each for value in given for each in ([value] if isinstance(value, str) else value)]
        if _MARK not in names and output != _MARK:
            return run(options)
        if names.count(_MARK) > 1 or (output == _MARK and len(names) > 1):
            raise InputError("- stands for one stream: give one input, and one output")
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            source, target = folder / f"stdin{read}", folder / f"stdout{write}"
            if _MARK in names:
                with source.open("wb") as stream:
                    shutil.copyfileobj(sys.stdin.buffer, stream)
                for name, value in zip(inputs, given, strict=True):
                    replaced = [str(source) if each == _MARK else each for each in value]
                    setattr(
                        options, name, "".join(replaced) if isinstance(value, str) else replaced
                    )
            if output != _MARK:
                return run(options)
            options.out = str(target)
            stdout = sys.stdout
            with contextlib.redirect_stdout(sys.stderr):
                code = run(options)
            return code or _send(folder, target, stdout.buffer)

    return run_with_streams


def _send(folder: Path, target: Path, stream: BinaryIO) -> int:
    """Copy the output to stdout; refuse several outputs."""
    if not target.exists():
        n_files = len(list(folder.glob(f"{target.stem}_*")))
        raise InputError(
            f"the input holds {n_files} mels, and a stream takes one file; give -o FOLDER"
        )
    with target.open("rb") as file:
        shutil.copyfileobj(file, stream)
    return 0
