"""`torchmelinv convert`: files in, files out, what was lost, and what was wrong with the others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.cli import main
from torchmelinv.conventions import Level
from torchmelinv.convert import convert

DECIBELS = TINY_LOG.replace(level=Level(log="log10", floor=1e-6, multiplier=20))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, convention in (("ln", TINY_LOG), ("dB", DECIBELS), ("quick", TINY_LOG.replace(hop_length=16))):
        (tmp_path / f"{name}.json").write_text(convention.to_json(), encoding="utf-8")
    mel = MelAnalyzer(TINY_LOG)(tones(800))
    (tmp_path / "in" / "deep").mkdir(parents=True)
    np.save("in/a.npy", mel.numpy())
    torch.save(mel[:, :9].clone(), "in/deep/b.pt")
    return mel


def test_a_folder(folder, capsys):
    np.save("in/broken.npy", np.zeros((3, 4), dtype=np.float32))
    assert main(["convert", "in", "-o", "out", "--from", "ln.json", "--to", "dB.json"]) == 1
    printed = capsys.readouterr()
    assert "2 of 3 files converted; only the values change" in printed.out
    assert "in/broken.npy: " in printed.err
    assert "floor of 1e-05" in printed.err
    np.testing.assert_allclose(np.load("out/a.npy"), convert(folder, TINY_LOG, DECIBELS).mel.numpy(), atol=1e-5)
    assert np.load("out/deep/b.npy").shape == (16, 9)


def test_one_file_and_json(folder, capsys):
    assert main(["convert", "in/a.npy", "-o", "b.npy", "--from", "ln.json", "--to", "quick.json", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["way"] == "audio"
    assert report["files"] == [{"input": "in/a.npy", "output": "b.npy", "error": None}]
    assert np.load("b.npy").shape[-1] == TINY_LOG.replace(hop_length=16).n_frames(800)


def test_every_mel_that_looks_odd_is_named(folder, capsys):
    for name in ("odd", "too"):
        np.save(f"in/{name}.npy", folder.exp().numpy() + 1)
    assert main(["convert", "in", "-o", "out", "--from", "ln.json", "--to", "dB.json"]) == 0
    lines = [line.split(": all values")[0] for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert lines == ["torchmelinv: warning: in/odd.npy", "torchmelinv: warning: in/too.npy"]


def test_mistakes(folder, capsys):
    assert main(["convert", "in/a.npy", "-o", "b.wav", "--from", "ln.json", "--to", "dB.json"]) == 2
    assert ".npy can be written" in capsys.readouterr().err
    assert main(["convert", "in/a.npy", "-o", "b.npy", "--from", "lan.json", "--to", "dB.json"]) == 2
