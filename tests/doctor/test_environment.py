"""The report of the environment, with and without a device."""

from __future__ import annotations

import json
import math
import sys
from types import SimpleNamespace

import pytest
import torch

import torchmelinv
from torchmelinv.cuda import verdicts
from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER
from torchmelinv.doctor import environment as module
from torchmelinv.doctor.environment import environment, gpus


def test_it_names_versions_settings_and_folders(monkeypatch):
    monkeypatch.setenv("TORCHMELINV_BACKEND", "reference")
    monkeypatch.setenv("TORCHMELINV_CACHE", "/somewhere")
    report = environment()
    assert report["torchmelinv"] == torchmelinv.__version__
    assert report["torch"] == torch.__version__
    assert report["CPU threads"] == torch.get_num_threads()
    assert report["available memory"].endswith(" GB")
    assert "libsndfile" in report["soundfile"]
    assert report["TORCHMELINV_BACKEND"] == "reference"
    assert report["cache folder"] == "/somewhere"
    assert json.loads(json.dumps(report)) == report


def test_packages_that_are_missing_or_do_not_load(monkeypatch):
    for name in ("torchaudio", "soxr"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(module, "available_memory", lambda: math.inf)
    monkeypatch.setattr(module, "cache_folder", lambda: None)
    report = environment()
    assert report["torchaudio"] == report["soxr"] == "not installed"
    assert report["available memory"] == "unknown"
    assert "no home" in report["cache folder"]


@pytest.mark.parametrize(
    "error", [OSError("undefined symbol: _ZN3c10"), ModuleNotFoundError("No module", name="torio")]
)
def test_a_torchaudio_of_another_torch_does_not_load(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(module.importlib, "import_module", fail)
    assert module._loads("torchaudio").startswith("does not load (")


@pytest.mark.parametrize("line", ['pesq>=1; extra == "metrics"', "pesq>=1 ; extra == 'metrics'"])
def test_extras_are_those_of_the_package(monkeypatch, line):
    module._extras.cache_clear()
    lines = ["numpy>=1.26", line, 'ruff>=0.14; extra == "dev"']
    monkeypatch.setattr(module.importlib.metadata, "requires", lambda _: lines)
    monkeypatch.setattr(module, "_version", lambda _: None)
    assert environment()["extra metrics"] == "pesq missing"
    assert module._extras() == {"metrics": ["pesq"]}
    module._extras.cache_clear()


def test_devices_are_described(monkeypatch, tmp_path):
    properties = SimpleNamespace(name="NVIDIA H200", major=9, minor=0, total_memory=150e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert gpus() == ["NVIDIA H200, compute capability 9.0, 150.0 GB"]
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "cache"))
    assert environment()["kernels used by 'auto'"] == ["not checked"]
    found = {"a": RIGHT_AND_FASTER, "b": "wrong"}
    verdicts.write_verdict(verdicts.machine(0), found, [])
    assert environment()["kernels used by 'auto'"] == ["1 of 2 operations"]
