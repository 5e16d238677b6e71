"""Progress: a bar where somebody watches, whole lines in a log, nothing for a few files there."""

from __future__ import annotations

import io
import re

import pytest

from torchmelinv.jobs import progress as job
from torchmelinv.jobs.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, files, seconds=1.0):
    monkeypatch.setattr("sys.stderr", stream)
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))  # a second for each file
    progress = Progress(files, 10 * files, "rank 1 of 2: ")
    for _ in range(files):
        progress.add(0.5, 5, seconds)
        progress.add(0.5, 5, seconds)
    progress.close()
    return stream.getvalue()


def test_a_log_gets_lines(monkeypatch):
    text = shown(monkeypatch, io.StringIO(), job.MANY)
    assert "\r" not in text
    last = text.splitlines()[-1]
    assert re.fullmatch(r"rank 1 of 2: 100%, 32/32 files, 0\.5 files/s, 1 s of audio/s \[\d\d:\d\d<\d\d:\d\d\]", last)
    assert len(text.splitlines()) <= 3


def test_no_rate_of_what_is_not_made(monkeypatch):
    assert ", 0.5 files/s [" in shown(monkeypatch, io.StringIO(), job.MANY, seconds=0.0)


def test_a_terminal_gets_a_bar(monkeypatch):
    text = shown(monkeypatch, Terminal(), 2)
    assert "\r" in text
    assert "100%|" in text
    assert "2/2 files, 0.5 files/s, 1 s of audio/s" in text


@pytest.mark.parametrize(("stream", "files"), [(io.StringIO, job.MANY - 1), (Terminal, 1), (Terminal, 0)])
def test_a_few_files_need_none(monkeypatch, stream, files):
    assert shown(monkeypatch, stream(), files) == ""
