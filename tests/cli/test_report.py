"""The report of a job: files are counted, not mels; failures are kept, finished files on demand."""

from __future__ import annotations

import json

import pytest

from torchmelinv._utils.text import plain
from torchmelinv.cli.report import Report, format_outcome
from torchmelinv.corpus.file_inversion import Outcome

OUTCOMES = [
    Outcome("b.npy", "b_1.wav", 1, 2, seconds=1.5),
    Outcome("x.npy", error="broken"),
    Outcome("b.npy", "b_0.wav", 0, 2, seconds=1.5),
    Outcome("a.npy", "a.wav", seconds=2.0, skipped=True),
    Outcome("c.npy", "c.wav", seconds=1.0, warnings=("odd",)),
    *(
        Outcome("d.npy", f"d_{index}.wav", index, 3, error="full" if index else None)
        for index in range(3)
    ),
]


def make_report(keep, clock):
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
    report = make_report(False, clock)
    assert report.totals() == {
        "done": 3,
        "skipped": 1,
        "failed": 2,
        "audio_seconds": 4.0,
        "elapsed_seconds": 2.0,
    }
    assert report.summary(5) == (
        "3 of 5 files done, 1 of them by an earlier run, 2 failed; "
        "4.0 s of audio in 2.0 s (2 files/s, 2 s of audio/s)"
    )
    assert report.summary(30).startswith(
        "3 of 30 files done, 1 of them by an earlier run, 2 failed, 25 remaining; "
    )
    assert report.outcomes == []
    assert [outcome.error for outcome in report.failed] == ["broken", "full", "full"]
    assert [outcome.input for outcome in report.with_warnings] == ["c.npy"]


def test_an_empty_job():
    assert Report(False).summary(0) == "0 of 0 files done"


def test_json_has_everything_in_order(clock):
    report = make_report(True, clock)
    report.sort(["a.npy", "x.npy", "b.npy", "c.npy", "d.npy"])
    values = json.loads(json.dumps(plain(report.to_dict(rank=0))))
    assert [(file["input"], file["index"]) for file in values["files"]] == [
        ("a.npy", 0),
        ("x.npy", 0),
        ("b.npy", 0),
        ("b.npy", 1),
        ("c.npy", 0),
        ("d.npy", 0),
        ("d.npy", 1),
        ("d.npy", 2),
    ]
    assert (values["rank"], values["done"], values["failed"]) == (0, 3, 2)


def test_a_line_about_a_file():
    outcome = Outcome("a.npy", "a.wav", seconds=1, mel_error_db=-30.0, gain_db=-6.02, peak=2.0)
    assert format_outcome(outcome) == (
        "a.npy -> a.wav, 1.00 s, mel error -30.0 dB, scaled by -6.0 dB, its peak was 2.00"
    )
