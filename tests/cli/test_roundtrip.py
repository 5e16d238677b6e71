"""`torchmelinv roundtrip`, and the files and reports that it shares with the demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.tiny import QUICK, TINY, console, stereo, tone, workplace  # noqa: F401
from torchmelinv.cli.roundtrip import (
    check_outputs,
    format_roundtrip,
    roundtrip_report,
    save_outputs,
)
from torchmelinv.corpus.roundtrip import measure_roundtrip
from torchmelinv.errors import FileError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio, write_audio

pytestmark = pytest.mark.usefixtures("workplace")


def test_the_command_reports_and_writes(run):
    code, out, err = run("roundtrip", "speech.wav", *QUICK, "-o", "back.flac", "--plot", "mels.png")
    assert (code, err) == (0, "")
    headings = ["mel error", "spectral convergence", "time", "result", "figure"]
    assert [line[:20].strip() for line in out.splitlines()] == headings
    assert read_audio("back.flac")[0].shape == (1, 1600)
    assert Path("mels.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_as_json_with_notes(run):
    write_audio("fast.wav", tone(), 16000)
    code, out, err = run("roundtrip", "fast.wav", *QUICK, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["notes"] == ["resampled from 16000 to 8000 Hz"]
    assert err.count("torchmelinv: note: ") == 1
    assert report["n_channels"] == 1
    assert (report["n_samples"], report["n_frames"], report["output"]) == (800, 51, None)
    assert report["real_time_factor"] == pytest.approx(report["seconds"] / report["duration"])
    assert report["mel_error_db"] < 0


def test_stereo_stays_stereo(run):
    write_audio("stereo.wav", stereo(), TINY.sample_rate, "FLOAT")
    options = [*QUICK, "-o", "back.wav", "--plot", "mels.png", "--json"]
    code, out, err = run("roundtrip", "stereo.wav", *options)
    assert (code, err) == (0, "")
    assert json.loads(out)["n_channels"] == 2
    back, _ = read_audio("back.wav")
    assert back.shape == (2, 1600)
    # The recording's channels have 0.999, and 0.70 come back from phases of their own.
    assert float(torch.corrcoef(back)[0, 1]) > 0.99
    assert Path("mels.png").read_bytes().startswith(b"\x89PNG")


def test_without_outputs_nothing_is_written(run):
    before = set(Path().iterdir())
    assert run("roundtrip", "speech.wav", *QUICK)[0] == 0
    assert set(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("output", "figure", "subtype", "message"),
    [
        ("x.mp3", None, None, "'.mp3'"),
        ("x.flac", None, "DOUBLE", "DOUBLE"),
        (None, "x.bmp", None, "'.bmp'"),
        (None, "x", None, "no suffix"),
    ],
)
def test_outputs_are_checked_first(output, figure, subtype, message):
    with pytest.raises(InputError, match=message):
        check_outputs(output, figure, subtype)


def test_outputs_and_their_report():
    loud = measure_roundtrip(2.2 * tone(), MelInverter(TINY, n_iter=4))
    written = save_outputs(loud, "out/x.flac", "out/x.png", title="a title", subtype="PCM_24")
    assert read_audio("out/x.flac")[0].shape == (1, 1600)
    assert Path("out/x.png").read_bytes().startswith(b"\x89PNG")
    text = "\n".join(format_roundtrip(loud, written, "out/x.flac", "out/x.png"))
    for words in (
        "mel error",
        "spectral convergence",
        "times faster than real time",
        "out/x.flac",
        "out/x.png",
        "scaled by",
    ):
        assert words in text
    report = roundtrip_report(loud, written, input="x")
    assert report["input"] == "x"
    assert report["n_samples"] == 1600
    assert report["peak"] > 1
    assert save_outputs(loud, None, None, title="") is None
    assert "peak" not in roundtrip_report(loud)


def test_silence_has_a_report():
    silence = measure_roundtrip(torch.zeros(800), MelInverter(TINY.replace(level={}), n_iter=2))
    assert "mel error" in format_roundtrip(silence, None, None, None)[0]


def test_a_figure_that_cannot_be_written():
    roundtrip = measure_roundtrip(tone(), MelInverter(TINY, n_iter=4))
    Path("x.png").mkdir()
    with pytest.raises(FileError, match="cannot be written"):
        save_outputs(roundtrip, None, "x.png", title="")
    names = {path.name for path in Path().iterdir()}
    assert names == {"tiny.json", "mel.npy", "speech.wav", "x.png"}
