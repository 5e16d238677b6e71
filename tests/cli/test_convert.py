"""`torchmelinv convert`: files, losses, warnings and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli.main import main
from torchmelinv.conventions import Compression
from torchmelinv.conversion import convert

DECIBELS = TINY_LOG.replace(level=Compression(log="log10", floor=1e-6, multiplier=20))
SHORT_HOP = TINY_LOG.replace(hop_length=16)
TO_DECIBELS = ["--from", "ln.json", "--to", "dB.json"]


@pytest.fixture
def mel(tmp_path, monkeypatch):
    """A mel, with a folder of files around it."""
    monkeypatch.chdir(tmp_path)
    conventions = {"ln": TINY_LOG, "dB": DECIBELS, "short_hop": SHORT_HOP}
    for name, convention in conventions.items():
        (tmp_path / f"{name}.json").write_text(convention.to_json(), encoding="utf-8")
    mel = MelSpectrogram(TINY_LOG)(tones(800))
    (tmp_path / "in" / "deep").mkdir(parents=True)
    np.save("in/a.npy", mel.numpy())
    torch.save(mel[:, :9].clone(), "in/deep/b.pt")
    return mel


def test_a_folder(mel, capsys):
    np.save("in/broken.npy", np.zeros((3, 4), dtype=np.float32))
    assert main(["convert", "in", "-o", "out", *TO_DECIBELS]) == 1
    printed = capsys.readouterr()
    assert "2 of 3 files converted; only the values change" in printed.out
    assert "in/broken.npy: " in printed.err
    assert "floor of 1e-05" in printed.err
    expected = convert(mel, TINY_LOG, DECIBELS).mel
    np.testing.assert_allclose(np.load("out/a.npy"), expected.numpy(), atol=1e-5)
    assert np.load("out/deep/b.npy").shape == (16, 9)


@pytest.mark.usefixtures("mel")
def test_a_file_and_json(capsys):
    conventions = ["--from", "ln.json", "--to", "short_hop.json"]
    assert main(["convert", "in/a.npy", "-o", "b.npy", *conventions, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["route"] == "audio"
    assert len(report["losses"]) >= 1
    assert report["files"] == [{"input": "in/a.npy", "output": "b.npy", "error": None}]
    assert (report["done"], report["failed"]) == (1, 0)
    assert np.load("b.npy").shape[-1] == SHORT_HOP.n_frames(800)


def test_warnings_name_each_file(mel, capsys):
    for name in ("odd", "too"):
        np.save(f"in/{name}.npy", mel.exp().numpy() + 1)
    assert main(["convert", "in", "-o", "out", *TO_DECIBELS]) == 0
    lines = capsys.readouterr().err.splitlines()
    warned = [line.split(": all values")[0] for line in lines if "warning" in line]
    assert warned == ["torchmelinv: warning: in/odd.npy", "torchmelinv: warning: in/too.npy"]


@pytest.mark.usefixtures("mel")
def test_mistakes(capsys):
    assert main(["convert", "in/a.npy", "-o", "b.wav", *TO_DECIBELS]) == 2
    assert ".npy can be written" in capsys.readouterr().err
    unknown = ["--from", "lan.json", "--to", "dB.json"]
    assert main(["convert", "in/a.npy", "-o", "b.npy", *unknown]) == 2
