"""The demo on the synthetic voice and on a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from torchmelinv import demo
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.io.audio import read_audio, write_audio


def test_the_demo_runs_on_the_synthetic_voice(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert demo.main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    folder = Path("demo_output")
    written = [str(folder / name) for name in ("inverted.wav", "reference.wav", "mels.png")]
    measures = ["mel error", "spectral convergence", "times faster than real time"]
    for words in ("synthetic voice", *measures, *written):
        assert words in out
    voice, rate = read_audio("demo_output/reference.wav")
    inverted, _ = read_audio("demo_output/inverted.wav")
    assert rate == 22050
    assert voice.shape == inverted.shape == (1, 66150)
    # The printed distance is that of the files.
    linear_mel = MelSpectrogram("hifigan_22k").linear_mel
    reference = linear_mel(voice)
    error = 20 * torch.log10((linear_mel(inverted) - reference).norm() / reference.norm())
    assert float(error) == pytest.approx(float(out.split("mel error")[1].split()[0]), abs=0.2)
    assert float(error) < -20


def test_the_demo_runs_on_a_recording(tmp_path, capsys):
    write_audio(tmp_path / "x.flac", torch.stack([demo.signal(0.3, 16000)] * 2), 16000)
    assert demo.main([str(tmp_path / "x.flac"), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "x.flac: to a mel of 80 bands" in out
    assert "resampled from 16000 to 22050 Hz" in err
    assert all(
        len(read_audio(tmp_path / "out" / name)[0]) == 2
        for name in ("inverted.wav", "reference.wav")
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"inverted.wav", "reference.wav", "mels.png"}


def test_a_missing_recording(tmp_path, capsys):
    assert demo.main([str(tmp_path / "none.wav"), "--out", str(tmp_path / "out")]) == 2
    assert "none.wav does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
