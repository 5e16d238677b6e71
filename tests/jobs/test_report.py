"""The report: files counted, not mels; what failed remembered; what is done only where it is asked for."""

from __future__ import annotations

import json

import pytest

from torchmelinv.jobs.console import plain
from torchmelinv.jobs.invert_files import Outcome
from torchmelinv.jobs.report import Report, outcome_line

OUTCOMES = [
    Outcome("b.npy", "b_1.wav", 1, 2, seconds=1.5), Outcome("x.npy", error="broken"),
    Outcome("b.npy", "b_0.wav", 0, 2, seconds=1.5),
    Outcome("a.npy", "a.wav", seconds=2.0, before=True), Outcome("c.npy", "c.wav", seconds=1.0, warnings=("odd",)),
    *(Outcome("d.npy", f"d_{index}.wav", index, 3, error="full" if index else None) for index in range(3)),
]


def made(keep, clock):
    report = Report(keep)
    for outcome in OUTCOMES:
        report.add(outcome)
    clock[0] += 2.0
    return report


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_files_are_counted(clock):
    report = made(False, clock)
    assert report.facts() == {"done": 3, "before": 1, "failed": 2, "audio_seconds": 4.0, "elapsed_seconds": 2.0}
    assert report.summary(5) == (
        "3 of 5 files done, 1 of them by an earlier run, 2 failed; 4.0 s of audio in 2.0 s: 2 files and 2 s of audio a second")
    assert report.summary(30).startswith("3 of 30 files done, 1 of them by an earlier run, 2 failed, 25 left; ")
    assert report.outcomes == []
    assert [outcome.error for outcome in report.broken] == ["broken", "full", "full"]
    assert [outcome.input for outcome in report.doubted] == ["c.npy"]


def test_nothing_to_do():
    assert Report(False).summary(0) == "0 of 0 files done"


def test_everything_in_order_for_json(clock):
    report = made(True, clock)
    report.sort(["a.npy", "x.npy", "b.npy", "c.npy", "d.npy"])
    whole = json.loads(json.dumps(plain(report.as_json(rank=0))))
    assert [(each["input"], each["index"]) for each in whole["files"]] == [
        ("a.npy", 0), ("x.npy", 0), ("b.npy", 0), ("b.npy", 1), ("c.npy", 0), ("d.npy", 0), ("d.npy", 1), ("d.npy", 2)]
    assert (whole["rank"], whole["done"], whole["failed"]) == (0, 3, 2)


def test_a_line_for_a_person():
    line = outcome_line(Outcome("a.npy", "a.wav", seconds=1.0, mel_error_db=-30.0, gain_db=-6.02, peak=2.0, before=True))
    assert line == "a.npy -> a.wav, 1.00 s, mel error -30.0 dB, scaled by -6.0 dB, its peak was 2.00"
