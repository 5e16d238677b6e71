"""Progress: a bar in a terminal, whole lines in a log, nothing for a few files in a log."""

from __future__ import annotations

import io
import re
import time

import pytest

from torchmelinv.cli.progress import MANY, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_progress(monkeypatch, stream, n_files, seconds=1.0):
    """Run a job in which each file takes two seconds; return what the stream got."""
    monkeypatch.setattr("sys.stderr", stream)
    clock = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    progress = Progress(n_files, 10 * n_files, "rank 1 of 2: ")
    for _ in range(n_files):
        progress.add(0.5, 5, seconds)
        progress.add(0.5, 5, seconds)
    progress.close()
    return stream.getvalue()


def test_a_log_gets_lines(monkeypatch):
    text = show_progress(monkeypatch, io.StringIO(), MANY)
    assert "\r" not in text
    last = text.splitlines()[-1]
    assert re.fullmatch(
        r"rank 1 of 2: 100%, 32/32 files, 0\.5 files/s, 1 s of audio/s \[\d\d:\d\d<\d\d:\d\d\]",
        last,
    )
    assert len(text.splitlines()) <= 3


def test_work_without_audio_has_no_audio_rate(monkeypatch):
    assert ", 0.5 files/s [" in show_progress(monkeypatch, io.StringIO(), MANY, seconds=0.0)


def test_a_terminal_gets_a_bar(monkeypatch):
    text = show_progress(monkeypatch, Terminal(), 2)
    assert "\r" in text
    assert "100%|" in text
    assert "2/2 files, 0.5 files/s, 1 s of audio/s" in text


def test_a_single_file_in_a_terminal_has_the_elapsed_time(monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := Terminal())
    monkeypatch.setattr("torchmelinv.cli.progress._CLOCK_INTERVAL", 0.01)
    progress = Progress(1, 1000)
    deadline = time.monotonic() + 10
    while "1 file, 00:00 elapsed" not in stream.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    progress.add(1, 1000, 5.0)
    progress.close()
    assert "1 file, 00:00 elapsed" in stream.getvalue()
    assert not stream.getvalue().split("\r")[-2].strip()  # cleared


@pytest.mark.parametrize(
    ("stream", "n_files"), [(io.StringIO, MANY - 1), (Terminal, 1), (Terminal, 0)]
)
def test_a_few_files_show_nothing(monkeypatch, stream, n_files):
    assert show_progress(monkeypatch, stream(), n_files) == ""
