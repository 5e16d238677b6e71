"""SIGINT, SIGTERM and SIGHUP end a command alike: it cleans up, counts what is done, and exits."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from torchmelinv._utils.interrupts import NAMES, has_default_handler


class Interrupted(KeyboardInterrupt):
    """A signal has asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Raise `Interrupted` in the block when a signal asks the process to end.

    A signal that is ignored, as SIGHUP is under nohup, or that the program handles itself, stays
    so. Threads other than the main one change nothing.
    """
    previous = {}
    if threading.current_thread() == threading.main_thread():
        for number in (getattr(signal, name, None) for name in NAMES):
            if number is not None and has_default_handler(number):
                previous[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
