"""The command line as a whole: mistakes of users, missing packages, interruption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shared import ROOT
from tests.tiny import QUICK, TINY_ONE, console, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.cli import main as cli
from torchmelinv.cli import progress
from torchmelinv.io.audio import write_audio

pytestmark = pytest.mark.usefixtures("workplace")


def save_broken_files():
    Path("text.npy").write_text("hello")
    Path("text.wav").write_text("hello")
    Path("text.json").write_text("{")
    Path("half.json").write_text('{"sample_rate": 8000}')
    Path("folder").mkdir()
    np.save("vector.npy", np.zeros(5))
    np.save("complex.npy", np.zeros((8, 5), dtype=complex))


INVERT = ["invert", "mel.npy", "-o", "x.wav"]
ROUNDTRIP = ["roundtrip", "speech.wav"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        # argparse
        ([], 2, "COMMAND"),
        (["invrt"], 2, "invalid choice: 'invrt'"),
        (["invert", "mel.npy", *QUICK], 2, "-o/--out"),
        (INVERT, 2, "--convention"),
        ([*INVERT, *QUICK, "--batch", "0"], 2, "'0' is not an integer ≥ 1"),
        *(
            ([*INVERT, *QUICK, "--batch", word], 2, f"{word!r} is not an integer")
            for word in ("two", "²")
        ),
        ([*INVERT, *TINY_ONE, "--n-iter", "many"], 2, "invalid int value: 'many'"),
        ([*INVERT, *QUICK, "--phase", "guess"], 2, "invalid choice: 'guess'"),
        ([*INVERT, *QUICK, "--magnitude", "guess"], 2, "invalid choice: 'guess'"),
        ([*INVERT, *QUICK, "--subtype", "PCM_8"], 2, "invalid choice: 'PCM_8'"),
        (["identify"], 2, "MEL"),
        (
            [*INVERT, *QUICK, "--niter", "3"],
            2,
            "did you mean --n-iter?; `torchmelinv invert --help",
        ),
        ([*INVERT, *QUICK, "--n_iter=3"], 2, "arguments: --n_iter=3; did you mean --n-iter?"),
        ([*INVERT, *QUICK, "--zzz"], 2, "arguments: --zzz; `torchmelinv invert --help`"),
        # conventions
        (
            [*INVERT, "--convention", "hifigan"],
            2,
            "there is no preset 'hifigan'; did you mean 'hifigan_22k'",
        ),
        ([*INVERT, "--convention", "none"], 2, "`torchmelinv presets` lists all"),
        ([*INVERT, "--convention", "none.json"], 2, "cannot read none.json"),
        ([*INVERT, "--convention", "text.json"], 2, "text.json is not JSON"),
        ([*INVERT, "--convention", "half.json"], 2, "half.json: MelConvention needs n_fft"),
        ([*INVERT, *TINY_ONE, "--model-space"], 2, "--model-space needs a preset's name"),
        (
            [*INVERT, "--convention", "pwg_ljspeech", "--model-space"],
            2,
            "needs band_mean and band_scale",
        ),
        (["presets", "hifigan_22"], 2, "did you mean 'hifigan_22k'"),
        # methods and devices
        (
            [*INVERT, *TINY_ONE, "--n-iter", "-1"],
            2,
            "n_iter is -1; it must be an integer ≥ 0",
        ),
        ([*INVERT, *QUICK, "--device", "gpu"], 2, "there is no device 'gpu'; available: cpu"),
        ([*INVERT, *QUICK, "--device", "cuda:99"], 2, "device 'cuda:99' cannot be used"),
        ([*ROUNDTRIP, *QUICK, "--device", "gpu"], 2, "there is no device 'gpu'"),
        # paths
        (["invert", "none.npy", "-o", "x.wav", *QUICK], 2, "none.npy does not exist"),
        (["invert", "folder", "-o", "out", *QUICK], 2, "the folder folder contains no mel file"),
        (
            ["invert", "mel.npy", "-o", "x.mp3", *QUICK],
            2,
            "the output 'x.mp3' ends in '.mp3'; .wav and .flac can be written",
        ),
        (
            ["invert", "mel.npy", "-o", "x.flac", *QUICK, "--subtype", "FLOAT"],
            2,
            "FLAC files cannot hold the subtype 'FLOAT'",
        ),
        (
            ["invert", "mel.npy", "vector.npy", "-o", "x.wav", *QUICK],
            2,
            "several inputs need a folder",
        ),
        (
            ["invert", "mel.npy", "-o", "mel.npy/x.wav", *QUICK],
            1,
            "mel.npy/x.wav cannot be written",
        ),
        ([*ROUNDTRIP, *QUICK, "-o", "x.ogg"], 2, "ends in '.ogg'"),
        ([*ROUNDTRIP, *QUICK, "-o", "folder"], 2, "has no suffix"),
        ([*ROUNDTRIP, *QUICK, "--plot", "x.jpeg"], 2, "the figure 'x.jpeg' ends in '.jpeg'"),
        ([*ROUNDTRIP, *QUICK, "-o", "speech.wav/x.wav"], 1, "cannot be written"),
        # contents
        (["invert", "text.npy", "-o", "x.wav", *QUICK], 1, "text.npy: cannot be read as .npy"),
        (["invert", "vector.npy", "-o", "x.wav", *QUICK], 1, "vector.npy: the mel has shape (5,)"),
        (
            ["invert", "complex.npy", "-o", "x.wav", *QUICK],
            1,
            "complex.npy: mel has dtype torch.complex128",
        ),
        (
            ["invert", "speech.wav", "-o", "x.wav", *QUICK],
            1,
            "speech.wav: ends in '.wav'; mels are read from",
        ),
        (["roundtrip", "text.wav", *QUICK], 1, "text.wav cannot be read as audio"),
        (["roundtrip", "mel.npy", *QUICK], 1, "mel.npy cannot be read as audio"),
        (["roundtrip", "none.wav", *QUICK], 2, "none.wav does not exist"),
        (["identify", "none.npy"], 2, "none.npy does not exist"),
        (["identify", "text.npy"], 1, "text.npy cannot be read as .npy"),
        (["identify", "speech.wav"], 1, "mels are read from .npy"),
        (
            ["identify", "vector.npy"],
            2,
            "the mel to identify is torch.float64 of shape (5,); it must be a real tensor",
        ),
        (["identify", "complex.npy"], 2, "complex128"),
        (["identify", "folder"], 2, "folder is a folder"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_mistakes(run, arguments, code, message):
    save_broken_files()
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    exit_code, out, err = run(*arguments)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert "error: " in err
    assert err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


@pytest.mark.parametrize(
    ("package", "arguments", "message"),
    [
        ("soundfile", ROUNDTRIP, "pip install soundfile"),
        ("soundfile", INVERT, "pip install soundfile"),
        ("matplotlib", [*ROUNDTRIP, "--plot", "x.png"], "pip install 'torchmelinv[plot]'"),
        ("soxr", ["roundtrip", "fast.wav"], "pip install soxr"),
        ("tqdm", ["invert", *["mel.npy"] * 2, "two.npy", "-o", "out"], "pip install tqdm"),
    ],
)
def test_missing_packages(run, monkeypatch, package, arguments, message):
    write_audio("fast.wav", tone(), 16000)
    np.save("two.npy", tiny_mel().numpy())
    monkeypatch.setattr(progress, "MANY", 2)
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(*arguments, *QUICK)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("arguments", [[*INVERT, *QUICK], [*ROUNDTRIP, *QUICK, "-o", "x.wav"]])
def test_interrupting_leaves_nothing_partial(run, monkeypatch, arguments):
    def interrupted(path, _content):
        path.write_text("half of it")
        raise KeyboardInterrupt

    Path("x.wav").write_text("before")
    monkeypatch.setattr(Path, "write_bytes", interrupted)
    assert run(*arguments) == (130, "", "torchmelinv: error: interrupted\n")
    assert Path("x.wav").read_text() == "before"
    names = {path.name for path in Path().iterdir()}
    assert names == {"tiny.json", "mel.npy", "speech.wav", "x.wav"}


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "torchmelinv", "--version"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.startswith("torchmelinv ")


def test_a_misspelled_backend_is_a_usage_error(monkeypatch, capsys):
    monkeypatch.setenv("TORCHMELINV_BACKEND", "cuad")
    assert cli.main(["presets"]) == 2
    assert "TORCHMELINV_BACKEND is 'cuad'" in capsys.readouterr().err
