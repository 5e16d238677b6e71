"""Progress of a job: a bar or the elapsed time in a terminal, a line every ten seconds in a log."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any, TextIO

from torchmelinv._utils.optional import require
from torchmelinv.cli.console import print_message
from torchmelinv.errors import DiskError

MANY = 32  # files from which on a log shows progress
_LOG_INTERVAL = 10.0  # seconds
_CLOCK_INTERVAL = 1.0  # seconds


class _LineStream:
    """A stream that writes each state of a bar as a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(text.strip() + "\n")

    def flush(self) -> None:
        self._stream.flush()


class Progress:
    """Show files, rates and the remaining time, which is estimated from the remaining frames.

    A context manager: if the job ends early, because of a signal or a full disk, it prints how many
    files have been processed.

    A single file, whose steps are not counted, has the elapsed time in a terminal once it takes
    longer than a second. Nothing is shown for a few files in a log. `label` stands in front;
    `position` is the line of the terminal.
    """

    def __init__(self, n_files: int, n_frames: int, label: str = "", position: int = 0) -> None:
        self._n_files, self._done, self._audio = n_files, 0.0, 0.0
        self._start = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._ended = threading.Event()
        self._clock: threading.Thread | None = None
        if terminal and n_files == 1:
            self._bar = require("tqdm").tqdm(
                total=1,
                desc=f"{label}1 file",
                position=position,
                delay=_CLOCK_INTERVAL,
                leave=False,
                dynamic_ncols=True,
                bar_format="{desc}, {elapsed} elapsed",
            )
            self._clock = threading.Thread(target=self._refresh, daemon=True)
            self._clock.start()
        elif n_files >= 2 and (terminal or n_files >= MANY):
            bar = "{desc}{percentage:3.0f}%" + ("|{bar}|" if terminal else "")
            self._bar = require("tqdm").tqdm(
                total=n_frames,
                desc=label,
                position=position,
                mininterval=0.1 if terminal else _LOG_INTERVAL,
                dynamic_ncols=terminal,
                file=sys.stderr if terminal else _LineStream(sys.stderr),
                bar_format=bar + "{postfix} [{elapsed}<{remaining}]",
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, KeyboardInterrupt | DiskError) and self._n_files > 1:
            done = int(self._done)
            counts = f"{done} of {self._n_files} files processed, {self._n_files - done} remaining"
            print_message("error", counts)

    def add(self, n_files: float, n_frames: int, seconds: float) -> None:
        """Add finished work: files (or parts of one), frames, and seconds of audio."""
        self._done += n_files
        self._audio += seconds
        if self._bar is None:
            return
        elapsed = max(time.monotonic() - self._start, 1e-9)
        state = f"{self._done:.0f}/{self._n_files} files, {self._done / elapsed:.3g} files/s"
        if self._audio:
            state += f", {self._audio / elapsed:.3g} s of audio/s"
        self._bar.set_postfix_str(state, refresh=False)
        self._bar.update(n_frames)

    def close(self) -> None:
        """Close the bar; its last state stays visible."""
        self._ended.set()
        if self._clock:
            self._clock.join()
        if self._bar is not None:
            self._bar.close()

    def _refresh(self) -> None:
        """Show the elapsed time of a single file until it ends."""
        shown = False
        while not self._ended.wait(_CLOCK_INTERVAL):
            self._bar.refresh()
            shown = True
        if shown:
            self._bar.clear()
