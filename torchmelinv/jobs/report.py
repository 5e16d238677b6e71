"""What became of many files, counted as they come: nothing is kept of a file that is done, unless all are asked for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from torchmelinv.jobs.console import decibels, printable
from torchmelinv.jobs.invert_files import Outcome


class Report:
    """`keep`: remember every outcome, for few files or a report in full."""

    def __init__(self, keep: bool) -> None:
        self.outcomes: list[Outcome] = []
        self.broken: list[Outcome] = []
        self.doubted: list[Outcome] = []
        self._keep, self._start = keep, time.monotonic()
        self._files, self._before, self._audio = 0.0, 0.0, 0.0

    def add(self, outcome: Outcome) -> None:
        """A file of n mels counts once, by n outcomes."""
        if self._keep:
            self.outcomes.append(outcome)
        if outcome.warnings:
            self.doubted.append(outcome)
        if outcome.error:
            self.broken.append(outcome)
        self._files += 1 / outcome.count
        self._before += outcome.before / outcome.count
        self._audio += 0.0 if outcome.before else outcome.seconds

    def sort(self, inputs: Sequence[str]) -> None:
        """What is remembered, in the order in which the files were named."""
        place = {name: index for index, name in enumerate(inputs)}
        for outcomes in (self.outcomes, self.broken, self.doubted):
            outcomes.sort(key=lambda outcome: (place[outcome.input], outcome.index))

    def facts(self) -> dict[str, Any]:
        """The numbers, by name, for a report."""
        failed = len({outcome.input for outcome in self.broken})
        return {
            "done": round(self._files) - failed, "before": round(self._before), "failed": failed, "audio_seconds": self._audio,
            "elapsed_seconds": time.monotonic() - self._start,
        }

    def summary(self, files: int) -> str:
        """The same in words, of a job with so many files; it may have ended before it came to all."""
        facts = self.facts()
        words = [f"{facts['done']} of {files} files done"]
        if facts["before"]:
            words.append(f"{facts['before']} of them by an earlier run")
        if facts["failed"]:
            words.append(f"{facts['failed']} failed")
        if left := files - round(self._files):
            words.append(f"{left} left")
        elapsed = max(facts["elapsed_seconds"], 1e-9)
        made = round(self._files) - facts["before"]
        rates = f"{made / elapsed:.3g} files and {self._audio / elapsed:.3g} s of audio a second"
        return ", ".join(words) + (f"; {self._audio:.1f} s of audio in {elapsed:.1f} s: {rates}" if self._audio else "")

    def as_json(self, **facts: Any) -> dict[str, Any]:
        """Everything, with `facts` about what was asked."""
        return {**facts, "files": [dataclasses.asdict(outcome) for outcome in self.outcomes], **self.facts()}


def outcome_line(outcome: Outcome) -> str:
    """A file that is done, for a person to read."""
    names = printable(f"{outcome.input} -> {outcome.output}")
    words = [names, f"{outcome.seconds:.2f} s", f"mel error {decibels(outcome.mel_error_db)}"]
    if outcome.gain_db < 0:
        words.append(f"scaled by {outcome.gain_db:.1f} dB, its peak was {outcome.peak:.2f}")
    return ", ".join(words)
