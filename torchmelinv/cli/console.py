"""Console behavior that all commands share.

Messages go to stderr, results to stdout. Expected errors become a message and an exit code, without
a traceback.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from torchmelinv._utils.available_memory import is_out_of_memory
from torchmelinv._utils.interrupts import exit_code, interrupt_message
from torchmelinv._utils.text import plain, printable
from torchmelinv.cli.interruption import Interrupted, signals_interrupt
from torchmelinv.errors import DiskError, FileError, TorchmelinvError

PROGRAM = "torchmelinv"
# Exit codes. `argparse` itself exits with 2.
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


class FailedError(Exception):
    """A file cannot be read or written, which is no mistake in the command line."""


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Let a `FileError` in the block end the command as a failure, not as a usage error."""
    try:
        yield
    except FileError as error:
        raise FailedError(str(error)) from None


def print_message(kind: str, message: str) -> None:
    """Print one line on stderr: ``torchmelinv: <kind>: …``, with kind note, warning or error."""
    print(f"{PROGRAM}: {kind}: {printable(message)}", file=sys.stderr)


def handle_errors(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; print expected errors and Python warnings.

    Warnings appear without the source line that raised them. Characters that a terminal or pipe
    cannot encode become question marks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings(), signals_interrupt():
        warnings.showwarning = lambda message, *_args, **_kwargs: print_message(
            "warning", str(message)
        )
        try:
            code = command()
            sys.stdout.flush()
            return code
        except (FailedError, DiskError) as error:
            print_message("error", str(error))
            return EXIT_FAILED
        except TorchmelinvError as error:
            print_message("error", str(error))
            return EXIT_USAGE
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            hint = "try shorter files, a smaller convention or another --device"
            print_message("error", f"not enough memory; {hint}")
            return EXIT_FAILED
        except BrokenPipeError:  # the reader, as in `… | head`, has closed the pipe
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
        except OSError as error:  # a name that is too long, a disk that is gone, …
            print_message("error", f"system error: {error}")
            return EXIT_USAGE
        except KeyboardInterrupt as error:
            number = error.number if isinstance(error, Interrupted) else signal.SIGINT
            print_message("error", interrupt_message(number))
            return exit_code(number)


def print_json(value: Any) -> None:
    """Print a report on stdout as indented JSON."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))
