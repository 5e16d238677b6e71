"""The command line through `main`: what it writes and prints, its exit codes, and every mistake a user can make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.shared import ROOT
from tests.tiny import TINY, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv import cli
from torchmelinv.conventions import MelConvention
from torchmelinv.files import read_audio, write_audio
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.presets import preset, preset_names

pytestmark = pytest.mark.usefixtures("workplace")

TINY_ONE = ["--convention", "tiny.json"]
QUICK = [*TINY_ONE, "--n-iter", "2"]


@pytest.fixture
def run(capsys):
    """Run a command line: its exit code, stdout and stderr. A traceback never shows."""

    def call(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as leaving:  # argparse's way
            code = leaving.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


# invert


def test_invert_writes_the_inverters_waveform(run):
    code, out, err = run("invert", "mel.npy", "-o", "x.wav", *QUICK, "--subtype", "FLOAT")
    assert (code, err) == (0, "")
    assert out.startswith("mel.npy -> x.wav, 0.20 s, mel error -")
    waveform, rate = read_audio("x.wav")
    assert rate == 8000
    assert torch.allclose(waveform[0], MelInverter(TINY, n_iter=2)(tiny_mel()), atol=1e-6)


def test_defaults_are_the_inverters(run):
    assert run("invert", "mel.npy", "-o", "x.wav", *TINY_ONE, "--subtype", "FLOAT")[0] == 0
    assert torch.allclose(read_audio("x.wav")[0][0], MelInverter(TINY)(tiny_mel()), atol=1e-6)


@pytest.mark.parametrize("magnitude", MAGNITUDES)
@pytest.mark.parametrize("phase", PHASES)
def test_methods_and_seeds_reach_the_inverter(run, magnitude, phase):
    options = ["--magnitude", magnitude, "--phase", phase, "--n-iter", "3", "--seed", "7", "--subtype", "DOUBLE"]
    assert run("invert", "mel.npy", "-o", "x.wav", *TINY_ONE, *options)[0] == 0
    expected = MelInverter(TINY, magnitude, phase, 3, seed=7)(tiny_mel())
    assert torch.allclose(read_audio("x.wav")[0][0], expected, atol=1e-5)


@pytest.mark.parametrize(("options", "suffix"), [([], ".wav"), (["--format", "flac"], ".flac")])
def test_folders_keep_their_structure(run, options, suffix):
    for name in ("in/a.npy", "in/deep/b.npy"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(name, tiny_mel().numpy())
    torch.save(torch.stack([tiny_mel(), tiny_mel(seed=1)]), "in/two.pt")
    code, out, _ = run("invert", "in", "-o", "out", *QUICK, *options)
    written = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())
    assert code == 0
    assert written == [f"a{suffix}", f"deep/b{suffix}", f"two_0{suffix}", f"two_1{suffix}"]
    assert len(out.splitlines()) == 4


def test_one_broken_file_among_many(run):
    np.save("nan.npy", np.full((8, 5), np.nan, dtype=np.float32))
    Path("cut.npy").write_bytes(Path("mel.npy").read_bytes()[:300])
    np.save("turned.npy", tiny_mel().T.numpy())
    code, out, err = run("invert", "nan.npy", "mel.npy", "cut.npy", "turned.npy", "-o", "out", *QUICK)
    assert code == 1
    assert out.count("\n") == 1
    assert [path.name for path in Path("out").iterdir()] == ["mel.wav"]
    lines = err.splitlines()
    assert lines[0].startswith("torchmelinv: error: nan.npy: the mel has NaN or infinite values")
    assert lines[1].startswith("torchmelinv: error: cut.npy: cannot be read as .npy")
    assert "transposed" in lines[2]
    assert lines[3] == "torchmelinv: error: 3 of 4 files failed, the others are done"


def test_the_report_as_json(run):
    np.save("bad.npy", np.zeros((9, 5), dtype=np.float32))
    np.save("loud.npy", tiny_mel().numpy() + 3)
    code, out, err = run("invert", "mel.npy", "bad.npy", "loud.npy", "-o", "out", *QUICK, "--json", "--batch", "2")
    report = json.loads(out)
    assert code == 1
    assert (report["done"], report["failed"], report["convention"]) == (2, 1, "tiny.json")
    good, bad, loud = report["files"]
    assert (good["output"], good["frames"], good["seconds"], good["gain_db"]) == ("out/mel.wav", 101, 0.2, 0)
    assert good["mel_error_db"] < -8
    assert bad["output"] is None
    assert "9 bands" in bad["error"]
    assert "9 bands" in err
    assert loud["gain_db"] < 0


def test_a_loud_result_is_said(run):
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


def test_model_space_is_a_presets(run):
    convention = preset("matcha_ljspeech", model_space=True)
    mel = torch.randn(80, 12)
    np.save("m.npy", mel.numpy())
    options = ["--convention", "matcha_ljspeech", "--model-space", "--n-iter", "1", "--subtype", "FLOAT"]
    assert run("invert", "m.npy", "-o", "x.wav", *options)[0] == 0
    assert torch.allclose(read_audio("x.wav")[0][0], MelInverter(convention, n_iter=1)(mel), rtol=1e-3, atol=1e-4)


# roundtrip


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


# presets and inspect


def test_presets_are_listed(run):
    _, out, _ = run("presets")
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(preset_names())
    _, out, _ = run("presets", "--json")
    assert [facts["name"] for facts in json.loads(out)] == list(preset_names())


def test_a_preset_as_json_is_a_convention_file(run):
    code, out, err = run("presets", "whisper_80", "--json")
    assert code == 0
    assert MelConvention.from_json(out) == preset("whisper_80")
    assert err.startswith("torchmelinv: note: openai/whisper at ")
    Path("mine.json").write_text(out)
    np.save("w.npy", torch.rand(80, 4).numpy())
    assert run("invert", "w.npy", "-o", "x.wav", "--convention", "mine.json", "--n-iter", "1")[0] == 0


def test_a_preset_in_full(run):
    _, out, _ = run("presets", "pwg_ljspeech")
    assert "band_mean and band_scale" in out
    assert "kan-bayashi/ParallelWaveGAN" in out


def test_inspect_says_what_a_mel_is(run):
    np.save("h.npy", torch.full((3, 20, 80), -11.512925).index_fill(1, torch.tensor([4]), 0.5).numpy())
    code, out, _ = run("inspect", "h.npy")
    assert code == 0
    for word in ("(3, 20, 80) float32", "transposed", "natural logarithm (ln), floor 1e-05", "fits best", "hifigan_22k"):
        assert word in out
    _, out, _ = run("inspect", "h.npy", "--json")
    report = json.loads(out)
    assert (report["input"], report["log"], report["floor"], report["transposed"]) == ("h.npy", "ln", pytest.approx(1e-5), True)
    assert "hifigan_22k" in report["best"]


# mistakes


def make_rubbish():
    Path("text.npy").write_text("hello")
    Path("text.wav").write_text("hello")
    Path("text.json").write_text("{")
    Path("half.json").write_text('{"sample_rate": 8000}')
    Path("folder").mkdir()
    np.save("vector.npy", np.zeros(5))
    np.save("complex.npy", np.zeros((8, 5), dtype=complex))


INVERT = ["invert", "mel.npy", "-o", "x.wav"]
TRIP = ["roundtrip", "speech.wav"]


@pytest.mark.parametrize(("words", "code", "says"), [
    # argparse's
    ([], 2, "COMMAND"),
    (["invrt"], 2, "invalid choice: 'invrt'"),
    (["invert", "mel.npy", *QUICK], 2, "-o/--out"),
    (INVERT, 2, "--convention"),
    ([*INVERT, *QUICK, "--batch", "0"], 2, "'0' is not a whole number of at least 1"),
    ([*INVERT, *QUICK, "--batch", "two"], 2, "'two' is not a whole number"),
    ([*INVERT, *TINY_ONE, "--n-iter", "many"], 2, "invalid int value: 'many'"),
    ([*INVERT, *QUICK, "--phase", "guess"], 2, "invalid choice: 'guess'"),
    ([*INVERT, *QUICK, "--magnitude", "guess"], 2, "invalid choice: 'guess'"),
    ([*INVERT, *QUICK, "--subtype", "PCM_8"], 2, "invalid choice: 'PCM_8'"),
    (["inspect"], 2, "MEL"),
    # conventions
    ([*INVERT, "--convention", "hifigan"], 2, "there is no preset 'hifigan'; did you mean 'hifigan_22k'"),
    ([*INVERT, "--convention", "none.json"], 2, "cannot read none.json"),
    ([*INVERT, "--convention", "text.json"], 2, "text.json is not JSON"),
    ([*INVERT, "--convention", "half.json"], 2, "half.json: MelConvention needs n_fft"),
    ([*INVERT, *TINY_ONE, "--model-space"], 2, "--model-space goes with a preset's name"),
    ([*INVERT, "--convention", "pwg_ljspeech", "--model-space"], 2, "needs band_mean and band_scale"),
    (["presets", "hifigan_22"], 2, "did you mean 'hifigan_22k'"),
    # methods and devices
    ([*INVERT, *TINY_ONE, "--n-iter", "-1"], 2, "n_iter is -1; it must be a whole number of at least 0"),
    ([*INVERT, *QUICK, "--device", "gpu"], 2, "there is no device 'gpu'; here there is cpu"),
    ([*INVERT, *QUICK, "--device", "cuda:99"], 2, "device 'cuda:99' cannot be used here"),
    ([*TRIP, *QUICK, "--device", "gpu"], 2, "there is no device 'gpu'"),
    # paths
    (["invert", "none.npy", "-o", "x.wav", *QUICK], 2, "none.npy does not exist"),
    (["invert", "folder", "-o", "out", *QUICK], 2, "no mel file lies below the folder folder"),
    (["invert", "mel.npy", "-o", "x.mp3", *QUICK], 2, "the audio file 'x.mp3' ends in '.mp3'; .wav and .flac can be written"),
    (["invert", "mel.npy", "-o", "x.flac", *QUICK, "--subtype", "FLOAT"], 2, "FLAC files cannot hold the subtype 'FLOAT'"),
    (["invert", "mel.npy", "vector.npy", "-o", "x.wav", *QUICK], 2, "several inputs need a folder"),
    (["invert", "mel.npy", "-o", "mel.npy/x.wav", *QUICK], 1, "mel.npy/x.wav cannot be written"),
    ([*TRIP, *QUICK, "-o", "x.ogg"], 2, "ends in '.ogg'"),
    ([*TRIP, *QUICK, "-o", "folder"], 2, "has no suffix"),
    ([*TRIP, *QUICK, "--plot", "x.jpeg"], 2, "the picture 'x.jpeg' ends in '.jpeg'"),
    ([*TRIP, *QUICK, "-o", "speech.wav/x.wav"], 2, "cannot be written"),
    # contents
    (["invert", "text.npy", "-o", "x.wav", *QUICK], 1, "text.npy: cannot be read as .npy"),
    (["invert", "vector.npy", "-o", "x.wav", *QUICK], 1, "vector.npy: the mel has shape (5,)"),
    (["invert", "complex.npy", "-o", "x.wav", *QUICK], 1, "complex.npy: mel has dtype torch.complex128"),
    (["invert", "speech.wav", "-o", "x.wav", *QUICK], 1, "speech.wav: ends in '.wav'; mels are read from"),
    (["roundtrip", "text.wav", *QUICK], 2, "text.wav cannot be read as audio"),
    (["roundtrip", "mel.npy", *QUICK], 2, "mel.npy cannot be read as audio"),
    (["roundtrip", "none.wav", *QUICK], 2, "none.wav does not exist"),
    (["inspect", "none.npy"], 2, "none.npy does not exist"),
    (["inspect", "text.npy"], 2, "text.npy cannot be read as .npy"),
    (["inspect", "speech.wav"], 2, "mels are read from .npy"),
    (["inspect", "vector.npy"], 2, "a mel to inspect is a real tensor"),
    (["inspect", "complex.npy"], 2, "complex128"),
    (["inspect", "folder"], 2, "folder is a folder"),
], ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None)
def test_mistakes(run, words, code, says):
    make_rubbish()
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert says in err
    assert "error: " in err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_an_unwritable_sample_rate(run):
    Path("odd.json").write_text(TINY.replace(sample_rate=8000.5).to_json())
    code, _, err = run("invert", "mel.npy", "-o", "x.wav", "--convention", "odd.json", "--n-iter", "1")
    assert code == 1
    assert "whole sample rates" in err


@pytest.mark.parametrize(("package", "words", "says"), [
    ("soundfile", TRIP, "pip install soundfile"), ("soundfile", INVERT, "pip install soundfile"),
    ("matplotlib", [*TRIP, "--plot", "x.png"], "pip install 'torchmelinv[plot]'"),
    ("soxr", ["roundtrip", "fast.wav"], "pip install soxr"),
    ("tqdm", ["invert", *["mel.npy"] * 2, "two.npy", "-o", "out"], "pip install tqdm"),
])
def test_missing_packages(run, monkeypatch, package, words, says):
    write_audio("fast.wav", tone(), 16000)
    np.save("two.npy", tiny_mel().numpy())
    monkeypatch.setattr(cli, "_MANY", 2)
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(*words, *QUICK)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize(("written", "words"), [("x.wav", [*INVERT, *QUICK]), ("x.wav", [*TRIP, *QUICK, "-o", "x.wav"])])
def test_interrupting_leaves_nothing_partial(run, monkeypatch, written, words):
    def interrupted(path, *_args, **_kwargs):
        Path(path).write_bytes(b"half of it")
        raise KeyboardInterrupt

    Path(written).write_text("before")
    monkeypatch.setattr("soundfile.write", interrupted)
    assert run(*words) == (130, "", "torchmelinv: error: interrupted\n")
    assert Path(written).read_text() == "before"
    assert {path.name for path in Path().iterdir()} == {"tiny.json", "mel.npy", "speech.wav", written}


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "torchmelinv", "--version"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.startswith("torchmelinv ")


def test_progress_shows_for_many_files_only(run, monkeypatch):
    assert "file" not in run("invert", "mel.npy", "-o", "x.wav", *QUICK)[2]
    np.save("two.npy", tiny_mel().numpy())
    assert run("invert", "mel.npy", "two.npy", "-o", "out", *QUICK)[2] == ""
    monkeypatch.setattr(cli, "_MANY", 2)
    assert "2/2" in run("invert", "mel.npy", "two.npy", "-o", "out", *QUICK)[2]
