"""`torchmelinv invert`: what it writes, prints and returns."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import QUICK, TINY, console, stereo, tiny_mel, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli import progress
from torchmelinv.conventions import MfccConvention
from torchmelinv.functional import mel_to_mfcc, mfcc_to_waveform
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_waveform_is_that_of_the_inverter(run):
    code, out, err = run("invert", "mel.npy", "-o", "x.wav", *QUICK, "--subtype", "FLOAT")
    assert (code, err) == (0, "")
    assert out.startswith("mel.npy -> x.wav, 0.20 s, mel error -")
    waveform, rate = read_audio("x.wav")
    assert rate == 8000
    assert torch.allclose(waveform[0], MelInverter(TINY, n_iter=2)(tiny_mel()), atol=1e-6)


@pytest.mark.parametrize(("options", "suffix"), [([], ".wav"), (["--format", "flac"], ".flac")])
def test_folders_keep_their_structure(run, options, suffix):
    for name in ("in/a.npy", "in/deep/b.npy"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(name, tiny_mel().numpy())
    torch.save(torch.stack([tiny_mel(), tiny_mel(seed=1)])[:, None], "in/two.pt")
    code, out, _ = run("invert", "in", "-o", "out", *QUICK, *options)
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    written = sorted(str(path.relative_to("out")) for path in files)
    written.remove("manifest-0.jsonl")
    assert code == 0
    assert written == [f"a{suffix}", f"deep/b{suffix}", f"two_0{suffix}", f"two_1{suffix}"]
    *lines, summary = out.splitlines()
    assert len(lines) == 4
    assert summary.startswith("3 of 3 files done; 0.8 s of audio in ")


def test_a_mel_with_channels_becomes_one_file(run):
    mel = MelSpectrogram(TINY)(stereo())
    np.save("stereo.npy", mel.numpy())
    np.save("batch.npy", np.zeros((64, 8, 5), dtype=np.float32))
    code, out, err = run("invert", "stereo.npy", "-o", "x.wav", *QUICK, "--subtype", "FLOAT")
    assert (code, err) == (0, "")
    assert out.startswith("stereo.npy -> x.wav, 2 channels, 0.20 s, mel error -")
    expected = MelInverter(TINY, n_iter=2, channels=True)(mel)
    assert torch.allclose(read_audio("x.wav")[0], expected, atol=1e-6)
    code, _, err = run("invert", "batch.npy", "-o", "y.wav", *QUICK)
    assert code == 1
    assert "a batch of mono mels is (items, 1, n_mels, n_frames)" in err


def test_broken_files_among_others(run):
    np.save("nan.npy", np.full((8, 5), np.nan, dtype=np.float32))
    Path("cut.npy").write_bytes(Path("mel.npy").read_bytes()[:300])
    np.save("turned.npy", tiny_mel().T.numpy())
    inputs = ["nan.npy", "mel.npy", "cut.npy", "turned.npy"]
    code, out, err = run("invert", *inputs, "-o", "out", *QUICK)
    assert code == 1
    assert out.count("\n") == 1
    assert {path.name for path in Path("out").iterdir()} == {"mel.wav", "manifest-0.jsonl"}
    nan, cut, turned, summary = err.splitlines()
    assert nan.startswith("torchmelinv: error: nan.npy: the mel has NaN or infinite values")
    assert cut.startswith("torchmelinv: error: cut.npy: cannot be read as .npy")
    assert "transposed" in turned
    assert summary.startswith("torchmelinv: error: 1 of 4 files done, 3 failed; 0.2 s of audio in ")


def test_the_report_as_json(run):
    np.save("bad.npy", np.zeros((9, 5), dtype=np.float32))
    np.save("loud.npy", tiny_mel().numpy() + 3)
    inputs = ["mel.npy", "bad.npy", "loud.npy"]
    code, out, err = run("invert", *inputs, "-o", "out", *QUICK, "--json", "--batch", "2")
    report = json.loads(out)
    assert code == 1
    assert (report["done"], report["failed"], report["convention"]) == (2, 1, "tiny.json")
    good, bad, loud = report["files"]
    assert (good["output"], good["n_frames"]) == ("out/mel.wav", 101)
    assert (good["seconds"], good["gain_db"], good["skipped"]) == (0.2, 0, False)
    assert good["mel_error_db"] < -8
    assert bad["output"] is None
    assert "9 bands" in bad["error"]
    assert "9 bands" in err
    assert loud["gain_db"] < 0


def test_scaled_results_are_reported(run):
    np.save("loud.npy", tiny_mel().numpy() + 3)
    _, out, _ = run("invert", "loud.npy", "-o", "x.wav", *QUICK)
    assert "scaled by -" in out
    assert "its peak was" in out


def test_warnings_name_their_file(run):
    np.save("linear.npy", tiny_mel().exp().numpy() + 1)
    code, _, err = run("invert", "mel.npy", "linear.npy", "-o", "out", *QUICK)
    assert code == 0
    assert err.startswith("torchmelinv: warning: linear.npy: all values")
    assert err.count("\n") == 1


def test_a_sample_rate_that_cannot_be_written(run):
    Path("odd.json").write_text(TINY.replace(sample_rate=8000.5).to_json())
    options = ["--convention", "odd.json", "--n-iter", "1"]
    code, _, err = run("invert", "mel.npy", "-o", "x.wav", *options)
    assert code == 1
    assert "whole sample rates" in err


def test_progress_is_shown_for_many_files(run, monkeypatch):
    assert "file" not in run("invert", "mel.npy", "-o", "x.wav", *QUICK)[2]
    np.save("two.npy", tiny_mel().numpy())
    assert run("invert", "mel.npy", "two.npy", "-o", "out", *QUICK)[2] == ""
    monkeypatch.setattr(progress, "MANY", 2)
    assert "2/2 files" in run("invert", "mel.npy", "two.npy", "-o", "again", *QUICK)[2]


def test_files_of_mfccs(run):
    convention = MfccConvention(mel=TINY, n_mfcc=5, lifter=22)
    Path("mfcc.json").write_text(convention.to_json())
    Path("in").mkdir()
    mfcc = mel_to_mfcc(tiny_mel(), convention)
    np.savez("in/mfcc.npz", mfcc=mfcc.numpy())
    np.save("in/mel.npy", tiny_mel().numpy())
    command = ["invert", "in", "-o", "out", "--n-iter", "2", "--subtype", "FLOAT", "--mfcc"]
    code, _, err = run(*command, "--convention", "mfcc.json")
    assert code == 1
    assert "mel.npy: the mfcc has shape (8, 101); it must be (…, 5, n_frames ≥ 1)" in err
    waveform, _ = read_audio("out/mfcc.wav")
    assert torch.allclose(waveform[0], mfcc_to_waveform(mfcc, convention, n_iter=2), atol=1e-6)
    Path("mfcc.json").write_text(convention.replace(lifter=0).to_json())
    before = Path("out/mfcc.wav").read_bytes()
    run(*command, "--convention", "mfcc.json")  # another convention: the file is made again
    assert Path("out/mfcc.wav").read_bytes() != before


@pytest.mark.parametrize("name", ["tiny.json", "hifigan_22k"])
def test_mfccs_need_an_mfcc_convention(run, name):
    code, _, err = run("invert", "mel.npy", "-o", "x.wav", "--mfcc", "--convention", name)
    assert code == 2
    assert "MFCCs" in err
    Path("mfcc.json").write_text(MfccConvention(mel=TINY, n_mfcc=5).to_json())
    code, _, err = run("invert", "mel.npy", "-o", "x.wav", "--convention", "mfcc.json")
    assert code == 2
    assert "it describes MFCCs, not a mel" in err


def test_outputs_of_removed_inputs_are_told(run):
    Path("in").mkdir()
    for name in "abc":
        np.save(f"in/{name}.npy", tiny_mel(0.05).numpy())
    command = ["invert", "in", "-o", "out", *QUICK]
    assert run(*command)[2] == ""
    for name in "bc":
        Path(f"in/{name}.npy").unlink()
    code, _, err = run(*command)
    assert code == 0
    assert "note: 2 audio files of an earlier run in out, such as b.wav, belong to no input" in err
    assert Path("out/b.wav").exists()


@pytest.mark.filterwarnings("default::torchmelinv.FileWarning")
def test_a_folder_that_cannot_be_read_is_told(run, monkeypatch):
    Path("in/secret").mkdir(parents=True)
    np.save("in/a.npy", tiny_mel(0.05).numpy())
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, os.strerror(13), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    code, _, err = run("invert", "in", "-o", "out", *QUICK)
    assert code == 0
    expected = "torchmelinv: warning: folders that cannot be read are left out: in/secret\n"
    assert err == expected
