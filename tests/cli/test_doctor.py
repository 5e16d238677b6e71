"""`torchmelinv doctor`: with and without a device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import console  # noqa: F401
from torchmelinv.cli import doctor
from torchmelinv.cuda import verdicts
from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER, read_verdict
from torchmelinv.doctor import verification
from torchmelinv.doctor.check import Row
from torchmelinv.doctor.self_check import Part

MACHINE = {"device": "pretended"}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def without_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def device(monkeypatch):
    """The CPU in place of a CUDA device, with pretended kernels."""
    monkeypatch.setattr(doctor, "_cuda_device", lambda _: torch.device("cpu"))
    monkeypatch.setattr(verdicts, "machine", lambda _: MACHINE)
    monkeypatch.setattr(verification, "REGISTRY", "tests.doctor.pretended:good_checks")


@pytest.fixture
def measured(device, monkeypatch):
    """Results without measuring: one kernel is right and faster, the other has crashed."""
    rows = [
        Row("a", "one", "small", RIGHT_AND_FASTER, "", "error", 1e-7, 1e-5, 3e-3, 1e-3, 9e-3),
        Row("b", "other", "", "crashed", "ended by SIGABRT"),
    ]
    monkeypatch.setattr(verification, "run_checks", lambda *_: rows)


@pytest.mark.usefixtures("without_device")
def test_without_a_device(run, cache):
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    for words in ("torchmelinv ", "libsndfile", "mel error", "written and read"):
        assert words in out
    assert "There is no CUDA device, so everything runs in plain torch." in out
    assert "  fused mel step, n_fft 1024\n" in out
    assert not cache.exists()


@pytest.mark.usefixtures("without_device")
def test_as_json(run):
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["environment"]["torch"] == torch.__version__
    assert report["parts"]["inversion"]["works"] is True
    assert report["kernels"]["device"] is None
    assert "spsi" in report["kernels"]["checks"]


@pytest.mark.usefixtures("without_device")
def test_an_inversion_that_does_not_work_is_a_failure(run, monkeypatch):
    parts = [Part("inversion", False, "too far"), Part("resampling", False, "no soxr")]
    monkeypatch.setattr(doctor, "self_check", lambda: parts)
    code, out, _ = run("doctor")
    assert code == 1
    assert "DOES NOT WORK: too far" in out
    monkeypatch.setattr(doctor, "self_check", lambda: parts[1:])
    assert run("doctor")[0] == 0


@pytest.mark.usefixtures("device")
def test_with_a_device(run):
    code, out, err = run("doctor")
    assert code == 0
    assert "note: faster: right and faster" in err
    row = next(line for line in out.splitlines() if line.startswith("faster "))
    assert "right and faster" in row
    assert "uses the kernels of 1 of 1 operations" in out
    assert read_verdict(MACHINE)["operations"] == {"operation faster": "right and faster"}


@pytest.mark.usefixtures("measured")
def test_the_table_has_errors_times_and_reasons(run):
    out = run("doctor")[1]
    cells = [line.split() for line in out.splitlines() if line.startswith(("a ", "b "))]
    numbers = ["1e-07", "1e-05", "3", "1", "9", "3"]
    assert cells[0] == ["a", "small", *numbers, "right", "and", "faster"]
    assert cells[1] == ["b", "crashed:", "ended", "by", "SIGABRT"]
    assert "uses the kernels of 1 of 2 operations" in out


@pytest.mark.usefixtures("device")
def test_the_report_alone(run, monkeypatch, cache):
    monkeypatch.setattr(verification, "run_checks", lambda *_: pytest.fail("checked"))
    code, out, err = run("doctor", "--no-kernels")
    assert (code, err) == (0, "")
    assert out.endswith("Hz\n")
    assert json.loads(run("doctor", "--no-kernels", "--json")[1])["kernels"] is None
    assert not cache.exists()


@pytest.mark.usefixtures("measured")
def test_with_a_device_as_json(run):
    kernels = json.loads(run("doctor", "--json")[1])["kernels"]
    assert kernels["operations"] == {"one": RIGHT_AND_FASTER, "other": "crashed"}
    assert kernels["rows"][0]["speedup"] == pytest.approx(3)
    assert Path(kernels["file"]).exists()


@pytest.mark.usefixtures("measured")
def test_a_folder_that_others_may_write_keeps_no_verdict(run, cache):
    cache.mkdir()
    cache.chmod(0o777)
    code, out, err = run("doctor")
    assert code == 0
    assert "warning: the verdict is not kept" in err
    assert "chmod go-w" in err
    assert "'auto' runs plain torch for all operations" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "cpu"], "--device is 'cpu'; kernels are checked on CUDA devices only"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used"),
        (["--seconds", "0"], "--seconds is 0"),
    ],
)
def test_mistakes(run, arguments, message):
    code, out, err = run("doctor", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.gpu
@pytest.mark.slow
def test_on_this_device(run):
    kernels = json.loads(run("doctor", "--json")[1])["kernels"]
    found = {row["check"]: row["verdict"] for row in kernels["rows"]}
    assert set(found.values()) <= {"right and faster", "right, but not faster"}, found
