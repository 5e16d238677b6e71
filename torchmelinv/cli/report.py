"""The report of an inversion job. Finished files are only counted, unless all are kept."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from torchmelinv._utils.text import decibels, printable
from torchmelinv.corpus.file_inversion import Outcome


def _whole(files: float) -> int:
    """Return how many files are complete; parts of one are summed with rounding."""
    return int(files + 1e-6)


class Report:
    """Counts outcomes; remembers those with warnings or errors, and with `keep` all of them."""

    def __init__(self, keep: bool) -> None:
        self.outcomes: list[Outcome] = []
        self.failed: list[Outcome] = []
        self.with_warnings: list[Outcome] = []
        self.n_written = 0  # by this process
        self._keep, self._start = keep, time.monotonic()
        self._files, self._skipped, self._audio = 0.0, 0.0, 0.0

    def add(self, outcome: Outcome) -> None:
        """Add an outcome. A file of n mels of this process counts once, with its n outcomes."""
        if self._keep:
            self.outcomes.append(outcome)
        if outcome.warnings:
            self.with_warnings.append(outcome)
        if outcome.error:
            self.failed.append(outcome)
        self.n_written += not outcome.error and not outcome.skipped
        part = 1 / (outcome.count - outcome.others)
        self._files += part
        if outcome.skipped:
            self._skipped += part
        else:
            self._audio += outcome.seconds

    def sort(self, inputs: Sequence[str]) -> None:
        """Sort the outcomes by the order of the inputs."""
        positions = {name: index for index, name in enumerate(inputs)}
        for outcomes in (self.outcomes, self.failed, self.with_warnings):
            outcomes.sort(key=lambda outcome: (positions[outcome.input], outcome.index))

    def totals(self) -> dict[str, Any]:
        """Return the counts, by name."""
        failed = len({outcome.input for outcome in self.failed})
        return {
            "done": _whole(self._files) - failed,
            "skipped": _whole(self._skipped),
            "failed": failed,
            "audio_seconds": self._audio,
            "elapsed_seconds": time.monotonic() - self._start,
        }

    def summary(self, n_files: int) -> str:
        """Return a sentence about a job with `n_files`, which may have ended early."""
        totals = self.totals()
        parts = [f"{totals['done']} of {n_files} files done"]
        if totals["skipped"]:
            parts.append(f"{totals['skipped']} of them by an earlier run")
        if totals["failed"]:
            parts.append(f"{totals['failed']} failed")
        if remaining := n_files - _whole(self._files):
            parts.append(f"{remaining} remaining")
        summary = ", ".join(parts)
        if not self._audio:
            return summary
        elapsed = max(totals["elapsed_seconds"], 1e-9)
        new_files = _whole(self._files) - totals["skipped"]
        return (
            f"{summary}; {self._audio:.1f} s of audio in {elapsed:.1f} s "
            f"({new_files / elapsed:.3g} files/s, {self._audio / elapsed:.3g} s of audio/s)"
        )

    def to_dict(self, **info: Any) -> dict[str, Any]:
        """Return everything for JSON; `info` holds options."""
        files = [dataclasses.asdict(outcome) for outcome in self.outcomes]
        return {**info, "files": files, **self.totals()}


def format_outcome(outcome: Outcome) -> str:
    """Return a line about a finished file."""
    paths = printable(f"{outcome.input} -> {outcome.output}")
    error = f"mel error {decibels(outcome.mel_error_db)}"
    if outcome.restored:
        error += " to the restored mel"
    parts = [paths, f"{outcome.seconds:.2f} s", error]
    if outcome.n_channels > 1:
        parts.insert(1, f"{outcome.n_channels} channels")
    if outcome.gain_db:
        peak = f"{outcome.peak:.2f}" if outcome.peak >= 0.1 else f"{outcome.peak:.2g}"
        parts.append(f"scaled by {outcome.gain_db:+.1f} dB, its peak was {peak}")
    return ", ".join(parts)
