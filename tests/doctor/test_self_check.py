"""What works on the CPU."""

from __future__ import annotations

import sys

from torchmelinv.doctor import self_check as module
from torchmelinv.doctor.self_check import self_check


def test_everything_works_here():
    parts = {part.name: part for part in self_check()}
    assert all(part.works for part in parts.values()), parts
    assert "mel error -3" in parts["inversion"].result
    assert "1600 at 16000 Hz" in parts["resampling"].result


def test_what_does_not_work_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    monkeypatch.setattr(module, "LARGEST_ERROR_DB", -100.0)
    results = {part.name: part.result for part in self_check() if not part.works}
    assert "should be below -100 dB" in results["inversion"]
    assert "pip install soundfile" in results["audio files"]
    assert "pip install soxr" in results["resampling"]
