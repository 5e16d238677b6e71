"""A process for each check: whatever a kernel does there, the result says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.doctor import pretended
from torchmelinv.doctor import processes
from torchmelinv.doctor.processes import run_in_process

REGISTRY = "tests.doctor.pretended:checks"
CHECKS = {check.name: check for check in pretended.checks()}


def run(fault, registry=REGISTRY, seconds=60.0):
    return run_in_process(CHECKS[fault], registry, "cpu", seconds)


@pytest.mark.parametrize("fault", pretended.ENDING)
def test_what_ends_or_holds_a_process_is_named(fault):
    rows = run(fault, seconds=10.0 if fault == "hang" else 60.0)
    verdict, reason = pretended.EXPECTED[fault]
    assert rows[-1].verdict == verdict
    assert reason in rows[-1].reason
    assert {(row.check, row.operation) for row in rows} == {(fault, f"operation {fault}")}
    if fault != "hang":  # a busy machine may take its time before the first trial
        assert [row.shape for row in rows] == ["first", "second"]
        assert rows[0].verdict == "right and faster"


def test_a_process_that_cannot_start_its_check():
    (row,) = run("faster", "tests.doctor.missing:checks")
    assert row.verdict == "crashed"
    assert "No module named 'tests.doctor.missing'" in row.reason


def test_the_current_folder_is_not_imported_from(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('not this one')")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.chdir(tmp_path)
    rows = run("faster")
    assert [row.verdict for row in rows] == ["right and faster"] * 2
    assert (rows[0].error, rows[0].allowed) == (0, 1e-5)
    assert rows[0].speedup > 2


def test_a_process_that_a_driver_holds_is_left_behind(monkeypatch):
    class Held:
        pid = 1

        def __init__(self, *_, **__):
            pass

        def wait(self, seconds):
            raise subprocess.TimeoutExpired("held", seconds)

        def poll(self):
            return None

        def kill(self):
            pass

    monkeypatch.setattr(processes.subprocess, "Popen", Held)
    (row,) = run("faster")
    assert (row.verdict, row.reason) == ("hung", "no result within 60 s")


def test_interrupting_ends_the_process(monkeypatch):
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

        def wait(self, timeout=None):
            if len(started) == 1 and self.poll() is None and timeout == 60.0:
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(processes.subprocess, "Popen", Noted)
    with pytest.raises(KeyboardInterrupt):
        run("hang")
    assert started[0].poll() is not None


def test_a_line_that_the_process_did_not_finish_is_left_out(tmp_path):
    path = tmp_path / "rows"
    path.write_text('{"started": "first"}\n{"check": "a", "oper')
    assert processes._read_rows(path) == ([], "first")
