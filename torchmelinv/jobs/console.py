"""What every command shares: notes and errors on stderr, results on stdout, exit codes, and no traceback for a user's mistake."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

from torchmelinv.errors import InputError, TorchmelinvError
from torchmelinv.jobs.memory import out_of_memory

PROGRAM = "torchmelinv"
# Exit codes. `argparse` itself leaves with 2.
DONE, SOME_FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130


def say(kind: str, message: str) -> None:
    """One line on stderr: `torchmelinv: note: …`, with `kind` note, warning or error."""
    print(f"{PROGRAM}: {kind}: {printable(message)}", file=sys.stderr)


def printable(text: str) -> str:
    """A text on one line that moves no cursor and hides nothing: names of files may hold any character."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def guarded(work: Callable[[], int]) -> int:
    """Run `work` and return its exit code; turn what went wrong on purpose into a message and the code for it.

    Python warnings that nobody turned into errors are said as they come, without the source line that raised them. A terminal
    or a pipe that cannot hold a character gets a question mark.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: say("warning", str(message))
        try:
            code = work()
            sys.stdout.flush()
            return code
        except TorchmelinvError as error:
            say("error", str(error))
            return MISTAKE
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            say("error", "there is not enough memory; give shorter files, a smaller convention or another --device")
            return SOME_FAILED
        except BrokenPipeError:  # the reader, as in `… | head`, had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return SOME_FAILED
        except OSError as error:  # a name that is too long, a disk that is gone: there are too many to foresee
            say("error", f"the system refuses: {error}")
            return MISTAKE
        except KeyboardInterrupt:
            say("error", "interrupted")
            return INTERRUPTED


def plain(value: Any) -> Any:
    """A value as JSON can hold it: that has no NaN and no infinity, they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def print_json(value: Any) -> None:
    """A report on stdout as indented JSON."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))


def decibels(value: float) -> str:
    """A level in dB for a person to read; what has no finite logarithm says so."""
    return f"{value:.1f} dB" if math.isfinite(value) else ("exact" if value < 0 else "not defined")


def usable_device(name: str) -> torch.device:
    """The torch device of this name, once a tensor has been there and back; else an `InputError` that says what there is."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = ["cpu", *(f"cuda:{index}" for index in range(count)), *(["mps"] if torch.backends.mps.is_available() else [])]
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"there is no device {name!r}; here there is {', '.join(here)}") from None
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise InputError(f"device {name!r} cannot be used here ({reason}); here there is {', '.join(here)}") from None
    return device
