"""Mels as they lie in files, from the command line: many in one file, dictionaries."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import QUICK, TINY, console, tiny_mel, workplace  # noqa: F401
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio

pytestmark = pytest.mark.usefixtures("workplace")


def expected(seed: int = 0) -> torch.Tensor:
    return MelInverter(TINY, n_iter=2)(tiny_mel(seed=seed))


def check_audio(path, seed: int = 0) -> None:
    assert torch.allclose(read_audio(path)[0][0], expected(seed), atol=1e-4)


def test_dictionaries_of_training_code(run):
    Path("in").mkdir()
    for seed in range(2):
        mel = tiny_mel(seed=seed).T.contiguous()
        content = {"step": 3, "out": {"post": mel, "f0": [1.0, 2.0]}, "text": "a"}
        torch.save(content, f"in/{seed}.pt")
        torch.save({**content, "out": [{"post": mel.numpy()}]}, f"in/{seed}_numpy.pt")
    code, _, err = run("invert", "in", "-o", "out", *QUICK)
    assert code == 1
    assert "--frames-first on the command line" in err
    code, _, err = run("invert", "in", "-o", "out", *QUICK, "--frames-first", "--key", "x")
    assert "has no 'x'; it holds 'out/post'" in err
    assert "has no 'x'; it holds 'out/0/post'" in err
    code, _, err = run("invert", "in", "-o", "out", *QUICK, "--frames-first")
    assert (code, err) == (0, "")
    for seed in range(2):
        check_audio(f"out/{seed}.wav", seed)
        check_audio(f"out/{seed}_numpy.wav", seed)


def test_an_archive_becomes_a_file_for_each_utterance(run):
    kaldiio = pytest.importorskip("kaldiio")
    mels = {name: tiny_mel(seed=n).T.numpy() for n, name in enumerate(["a.1", "../b", "c\n"])}
    kaldiio.save_ark("feats.ark", {"a.1": mels["a.1"], "../b": mels["../b"], "c": mels["c\n"]})
    code, out, _ = run("invert", "feats.ark", "-o", "out", *QUICK)
    assert code == 0
    names = sorted(path.name for path in Path("out").glob("*.wav"))
    assert names == ["_._b.wav", "a.1.wav", "c.wav"]
    assert "feats.ark: a.1 -> out/a.1.wav" in out
    check_audio("out/a.1.wav", 0)
    check_audio("out/_._b.wav", 1)
    code, out, _ = run("invert", "feats.ark", "-o", "out", *QUICK)
    assert out.startswith("3 of 3 files done, 3 of them by an earlier run")
    Path("out/c.wav").unlink()
    code, out, _ = run("invert", "feats.ark", "-o", "out", *QUICK, "--json")
    report = json.loads(out)
    assert (report["done"], report["skipped"]) == (3, 2)
    kaldiio.save_ark("feats.ark", {"a.1": mels["../b"], "../b": mels["a.1"], "c": mels["c\n"]})
    assert run("invert", "feats.ark", "-o", "out", *QUICK)[0] == 0
    check_audio("out/a.1.wav", 1)


def test_one_of_many_becomes_a_single_file(run):
    kaldiio = pytest.importorskip("kaldiio")
    kaldiio.save_ark("feats.ark", {"a": tiny_mel().T.numpy(), "b": tiny_mel(seed=1).T.numpy()})
    code, _, err = run("invert", "feats.ark", "-o", "x.wav", *QUICK)
    assert code == 2
    assert "x.wav is a single file; 2 mels of feats.ark need a folder" in err
    assert run("invert", "feats.ark", "-o", "x.wav", "--key", "b", *QUICK)[0] == 0
    check_audio("x.wav", 1)


def test_a_pattern_takes_many_arrays(run):
    np.savez("a.npz", x=tiny_mel().numpy(), y=tiny_mel(seed=1).numpy(), f0=np.zeros(4))
    code, _, err = run("invert", "a.npz", "-o", "out", *QUICK)
    assert code == 1
    assert "--key '*' for all" in err
    assert run("invert", "a.npz", "-o", "out", "--key", "[xy]", *QUICK)[0] == 0
    check_audio("out/a/x.wav", 0)
    check_audio("out/a/y.wav", 1)


def test_equal_names_in_two_archives_are_refused(run):
    kaldiio = pytest.importorskip("kaldiio")
    for name in ("1.ark", "2.ark"):
        kaldiio.save_ark(name, {"a": tiny_mel().T.numpy()})
    code, _, err = run("invert", "1.ark", "2.ark", "-o", "out", *QUICK)
    assert code == 2
    assert "1.ark: a and 2.ark: a would both become out/a.wav" in err


def test_a_broken_archive_among_others(run):
    Path("in").mkdir()
    np.save("in/a.npy", tiny_mel().numpy())
    Path("in/b.ark").write_bytes(b"x" * 9999)
    code, _, err = run("invert", "in", "-o", "out", *QUICK)
    assert code == 1
    assert "in/b.ark: cannot be read as .ark: it is no Kaldi archive" in err
    check_audio("out/a.wav")


def test_other_commands_read_the_same_files(run):
    np.savez("a.npz", feats=tiny_mel().T.numpy(), f0=np.zeros(4))
    layout = ["--key", "feats", "--frames-first"]
    code, out, _ = run("identify", "a.npz", *layout)
    assert code == 0
    assert out.split()[1:3] == ["(8,", "101)"]
    to = ["--from", "tiny.json", "--to", "tiny.json"]
    assert run("convert", "a.npz", "-o", "b.npy", *to, *layout)[0] == 0
    assert np.allclose(np.load("b.npy"), tiny_mel().numpy(), atol=1e-4)
    tiny = ["--convention", "tiny.json"]
    assert run("statistics", "a.npz", "-o", "s.json", *tiny, *layout)[0] == 0
    pair = ["--generated", "a.npz", "--reference", "a.npz"]
    code, out, _ = run("evaluate", *pair, *tiny, *layout)
    assert code == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_as_an_archive_is_refused(run):
    os.mkfifo("x.ark")
    assert run("invert", "x.ark", "-o", "out", *QUICK)[0] != 0
