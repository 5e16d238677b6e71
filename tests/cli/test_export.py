"""`torchmelinv export`."""

from __future__ import annotations

import json

import pytest

from tests.tiny import TINY_ONE, console, workplace  # noqa: F401
from torchmelinv.cli import export
from torchmelinv.export import ExportReport

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture(autouse=True)
def exported(monkeypatch):
    """Return what would be exported: tests/test_export.py exports."""
    modules = []

    def export_onnx(module, path):
        modules.append(module)
        return ExportReport(path, 1_000_000, 2e-6)

    monkeypatch.setattr(export, "export_onnx", export_onnx)
    return modules


def test_an_inverter_with_its_options(run, exported):
    code, out, err = run("export", "vocoder.onnx", *TINY_ONE, "--n-iter", "7")
    assert (code, out) == (0, "")
    assert exported[0].n_iter == 7
    assert "vocoder.onnx: 1.0 MB" in err
    assert "2.0e-06" in err


def test_the_analysis_as_json(run, exported):
    code, out, _ = run("export", "mel.onnx", *TINY_ONE, "--analysis", "--json")
    assert code == 0
    assert json.loads(out) == {"path": "mel.onnx", "n_bytes": 1_000_000, "error": 2e-6}
    assert type(exported[0]).__name__ == "MelSpectrogram"


@pytest.mark.parametrize(
    "arguments",
    [
        ("vocoder.pt", *TINY_ONE),
        ("vocoder.onnx", *TINY_ONE, "--device", "cuda"),
        ("mel.onnx", *TINY_ONE, "--analysis", "--n-iter", "3"),
    ],
)
def test_mistakes(run, arguments, exported):
    code, _, err = run("export", *arguments)
    assert code == 2
    assert "onnx" in err or "CPU" in err or "--n-iter" in err
    assert not exported
