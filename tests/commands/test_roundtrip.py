"""`torchmelinv roundtrip` through `main`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import QUICK, console, tone, workplace  # noqa: F401
from torchmelinv.files import read_audio, write_audio

pytestmark = pytest.mark.usefixtures("workplace")


def test_roundtrip_reports_and_writes(run):
    code, out, err = run("roundtrip", "speech.wav", *QUICK, "-o", "back.flac", "--plot", "mels.png")
    assert (code, err) == (0, "")
    assert [line[:20].strip() for line in out.splitlines()] == ["mel error", "spectral convergence", "time", "result", "picture"]
    assert read_audio("back.flac")[0].shape == (1, 1600)
    assert Path("mels.png").read_bytes().startswith(b"\x89PNG")


def test_roundtrip_as_json_with_notes(run):
    write_audio("stereo.wav", torch.stack([tone(), tone()]), 16000)
    code, out, err = run("roundtrip", "stereo.wav", *QUICK, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["notes"] == ["resampled from 16000 to 8000 Hz", "2 channels mixed to one"]
    assert err.count("torchmelinv: note: ") == 2
    assert (report["n_samples"], report["n_frames"], report["output"]) == (800, 51, None)
    assert report["real_time_factor"] == pytest.approx(report["seconds"] / report["duration"])
    assert report["mel_error_db"] < 0


def test_roundtrip_alone_writes_nothing(run):
    before = set(Path().iterdir())
    assert run("roundtrip", "speech.wav", *QUICK)[0] == 0
    assert set(Path().iterdir()) == before
