"""All checks, and what backend `auto` does afterwards."""

from __future__ import annotations

import io
import json

import pytest
import torch

from tests.doctor.pretended import ENDING, EXPECTED
from torchmelinv.cuda import verdicts
from torchmelinv.cuda.backend import ENVIRONMENT_VARIABLE, use_kernel
from torchmelinv.doctor import verification
from torchmelinv.doctor.check import Row
from torchmelinv.doctor.child import run_check
from torchmelinv.doctor.processes import run_in_process
from torchmelinv.doctor.verification import operation_verdicts, run_checks, save, to_dict

MACHINE = {"device": "pretended"}


@pytest.fixture
def device(monkeypatch, tmp_path):
    """A CUDA device in use, and an empty cache folder."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verdicts, "_device_count", lambda: 1)
    monkeypatch.setattr(verdicts, "machine", lambda _: MACHINE)
    verdicts.forget()
    yield
    verdicts.forget()


def in_this_process(check, *_):
    """Run a check as its process would; those that would end it are said to have done so."""
    if check.name in ENDING:
        return [Row(check.name, check.operation, "", EXPECTED[check.name][0])]
    file = io.StringIO()
    run_check(check, torch.device("cpu"), file)
    entries = map(json.loads, file.getvalue().splitlines())
    return [Row(**entry) for entry in entries if "started" not in entry]


@pytest.mark.parametrize(
    "runner", [in_this_process, pytest.param(run_in_process, marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("device")
def test_auto_takes_what_is_right_and_faster_and_nothing_else(monkeypatch, runner):
    monkeypatch.setattr(verification, "run_in_process", runner)
    reported = {}
    rows = run_checks(
        "cpu",
        "tests.doctor.pretended:checks",
        30.0,
        lambda check, rows: reported.update({check.name: rows[-1]}),
    )
    assert list(reported) == list(EXPECTED)
    for fault, (verdict, reason) in EXPECTED.items():
        assert reported[fault].verdict == verdict
        assert reason in reported[fault].reason or (runner is in_this_process and fault in ENDING)
    save(MACHINE, rows)
    for fault in EXPECTED:
        assert use_kernel(f"operation {fault}", lambda: None) == (fault == "faster"), fault


def row(operation, verdict):
    return Row("check", operation, "shape", verdict)


def test_one_fault_decides_about_an_operation():
    good, bad = verdicts.RIGHT_AND_FASTER, "wrong"
    rows = [row("a", good), row("b", good), row("a", bad), row("b", good), row("a", "hung")]
    assert operation_verdicts(rows) == {"a": bad, "b": good}


def test_a_result_as_json():
    entry = to_dict(Row("a", "b", "c", "d", plain_seconds=3.0, kernel_seconds=1.5))
    assert entry["speedup"] == 2
    assert to_dict(row("a", "b"))["speedup"] is None
    assert json.loads(json.dumps(entry)) == entry


@pytest.mark.slow
@pytest.mark.usefixtures("device")
def test_real_checks_with_emulated_kernels():
    rows = run_checks("cpu", "tests.doctor.emulated:checks", 900.0)  # a busy machine is slow
    assert [row.shape.split(", ")[2] for row in rows[:2]] == ["batch 1", "batch 2"]
    # Which of the two is faster in emulation depends on the machine and on its load.
    verdicts = {row.verdict for row in rows}
    assert verdicts <= {"right, but not faster", "right and faster"}, rows
    assert all(row.error <= row.allowed for row in rows)
    assert all(row.torchaudio_seconds for row in rows if "step" in row.check)
