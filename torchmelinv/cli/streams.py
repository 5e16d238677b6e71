"""Standard streams in place of files: ``-`` as input, and ``-o -`` as output.

A stream goes through a temporary file, so that reading and writing are those of all other files.
What a command would print on stdout goes to stderr while stdout carries the output.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from torchmelinv.errors import InputError

_MARK = "-"


_Run = Callable[[argparse.Namespace], int]


def with_streams(*inputs: str, read: str, write: str) -> Callable[[_Run], _Run]:
    """Decorate the `run` of a command: it then takes ``-`` for its input and its output.

    Args:
        *inputs: Names of the options that hold input paths, as a string or a list.
        read: Suffix of what comes on stdin, such as ".npy".
        write: Suffix of what goes to stdout.

    Returns:
        The decorator.
    """

    def decorate(run: _Run) -> _Run:
        @functools.wraps(run)
        def run_with_streams(options: argparse.Namespace) -> int:
            values = [getattr(options, name) for name in inputs]
            output = getattr(options, "out", None)
            names = [name for value in values for name in _as_list(value)]
            if _MARK not in names and output != _MARK:
                return run(options)
            if names.count(_MARK) > 1 or (output == _MARK and len(names) > 1):
                raise InputError("- stands for one stream: give one input, and one output")
            with tempfile.TemporaryDirectory() as folder:
                # Resolved, because messages may name a path by what its links lead to.
                source, target = (
                    Path(folder).resolve() / name for name in (f"stdin{read}", f"stdout{write}")
                )
                if _MARK in names:
                    with source.open("wb") as stream:
                        shutil.copyfileobj(sys.stdin.buffer, stream)
                for name, value in zip(inputs, values, strict=True):
                    paths = [str(source) if each == _MARK else each for each in _as_list(value)]
                    setattr(options, name, paths[0] if isinstance(value, str) else paths)
                with _shown_as({str(source): "stdin", str(target): "stdout"}):
                    return run(options) if output != _MARK else _to_stdout(run, options, target)

        return run_with_streams

    return decorate


class _Renaming:
    """A text stream on which paths appear under other names."""

    def __init__(self, stream: TextIO, names: Mapping[str, str]) -> None:
        self._stream, self._names = stream, names

    def write(self, text: str) -> int:
        return self._stream.write(_rename(text, self._names))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _rename(text: str, names: Mapping[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return text


@contextlib.contextmanager
def _shown_as(names: Mapping[str, str]) -> Iterator[None]:
    """Replace paths by names in what is printed, and in errors."""
    # JSON and repr double the backslashes of Windows.
    escaped = {json.dumps(path, ensure_ascii=False)[1:-1]: names[path] for path in names}
    names = {**names, **escaped}
    stdout, stderr = (_Renaming(stream, names) for stream in (sys.stdout, sys.stderr))
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            yield
    except Exception as error:
        error.args = tuple(
            _rename(each, names) if isinstance(each, str) else each for each in error.args
        )
        if isinstance(error, OSError) and isinstance(error.filename, str):
            error.filename = _rename(error.filename, names)  # no part of `args`
        raise


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _to_stdout(run: _Run, options: argparse.Namespace, target: Path) -> int:
    """Run a command and copy its output to stdout; what it prints goes to stderr."""
    options.out, stdout = str(target), sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        code = run(options)
    if code:
        return code
    if not target.exists():
        n_files = len(list(target.parent.glob(f"{target.stem}_*")))
        raise InputError(
            f"the input holds {n_files} mels, and a stream takes one file; give -o FOLDER"
        )
    with target.open("rb") as stream:
        shutil.copyfileobj(stream, stdout.buffer)
    stdout.flush()
    return code
