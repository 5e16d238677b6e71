"""Signals that end a command line: a message and an exit code in place of a traceback.

Importing torch takes seconds. While that runs, Ctrl-C would show a traceback through it, and the
other signals would end the process without a word. Programs that import this package as a library
keep their handlers.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # not every system has all
_PROGRAM = __name__.partition(".")[0]


def exit_code(number: int) -> int:
    """Return the exit code of a process that a signal ended, as shells give it."""
    return 128 + number


def interrupt_message(number: int) -> str:
    """Return what a command says when a signal ends it."""
    if number == signal.SIGINT:
        return "interrupted"
    return f"ended by {signal.Signals(number).name}"


def is_command_line(arguments: Sequence[str]) -> bool:
    """Return whether these arguments of Python start the command line of this package."""
    as_module = ("-m", _PROGRAM) in itertools.pairwise(arguments)
    return as_module or any(Path(argument).stem == _PROGRAM for argument in arguments[1:2])


def exit_at_once(number: int, _: Any) -> None:
    """Handle a signal while there is nothing to clean up."""
    message = f"{_PROGRAM}: error: {interrupt_message(number)}\n"
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, message.encode())
    os._exit(exit_code(number))


def has_default_handler(number: int) -> bool:
    """Return whether nobody but Python and this module has set a handler for a signal."""
    defaults = (signal.SIG_DFL, signal.default_int_handler, exit_at_once)
    return signal.getsignal(number) in defaults


def start_quietly(arguments: Sequence[str]) -> None:
    """Let signals end the process at once, if it is starting the command line."""
    if not is_command_line(arguments) or threading.current_thread() != threading.main_thread():
        return
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and has_default_handler(number):
            signal.signal(number, exit_at_once)


start_quietly(sys.orig_argv)
