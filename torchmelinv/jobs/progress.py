"""How far a job with many files is: a bar where somebody watches, a line every ten seconds where a log is kept."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from torchmelinv.files import require

MANY = 32  # files from which on progress is shown to a log, too
_EVERY = 10.0  # seconds, in a log


class _Lines:
    """A stream where each state of a bar is a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(text.strip() + "\n")

    def flush(self) -> None:
        self._stream.flush()


class Progress:
    """Files, files a second, seconds of audio a second, and the time that is left, by the frames that are left.

    Work that makes no audio has no rate of it. Nothing shows for a single file, nor for few of them in a log. `label` stands
    in front, `place` is the line of the terminal.
    """

    def __init__(self, files: int, frames: int, label: str = "", place: int = 0) -> None:
        self._files, self._done, self._audio, self._start = files, 0.0, 0.0, time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = None
        if files >= 2 and (terminal or files >= MANY):
            self._bar = require("tqdm").tqdm(
                total=frames, desc=label, position=place, mininterval=0.1 if terminal else _EVERY, dynamic_ncols=terminal,
                file=sys.stderr if terminal else _Lines(sys.stderr),
                bar_format="{desc}{percentage:3.0f}%" + ("|{bar}|" if terminal else "") + "{postfix} [{elapsed}<{remaining}]",
            )

    def add(self, files: float, frames: int, seconds: float) -> None:
        """So much more is done: `files` may be a part of one, `seconds` are of audio."""
        self._done, self._audio = self._done + files, self._audio + seconds
        if self._bar is not None:
            passed = max(time.monotonic() - self._start, 1e-9)
            rates = f"{self._done / passed:.3g} files/s" + (f", {self._audio / passed:.3g} s of audio/s" if self._audio else "")
            self._bar.set_postfix_str(f"{self._done:.0f}/{self._files} files, {rates}", refresh=False)
            self._bar.update(frames)

    def close(self) -> None:
        """The last state stays."""
        if self._bar is not None:
            self._bar.close()
