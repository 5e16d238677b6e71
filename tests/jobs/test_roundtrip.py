"""A recording to its mel and back: the figures are those of the pieces, and outputs are refused before the work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny import TINY, tone, workplace  # noqa: F401
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import read_audio, write_audio
from torchmelinv.invert import MelInverter
from torchmelinv.jobs import roundtrip as job
from torchmelinv.measure.distance import mel_error_db, spectral_convergence_db

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.fixture
def trip():
    return job.roundtrip(tone(), MelInverter(TINY, n_iter=4))


def test_figures_are_those_of_the_pieces(trip):
    analyzer = MelAnalyzer(TINY)
    result = MelInverter(TINY, n_iter=4)(analyzer(tone()), length=len(tone()))
    assert torch.allclose(trip.result, result, atol=1e-6)
    assert trip.mel_error_db == pytest.approx(float(mel_error_db(analyzer.linear(result), analyzer.linear(tone()))), abs=1e-3)
    magnitudes = [analyzer.frame.analyse(signal).abs() for signal in (result, tone())]
    assert trip.spectral_convergence_db == pytest.approx(float(spectral_convergence_db(*magnitudes)), abs=1e-3)
    assert trip.duration == pytest.approx(0.2)
    assert trip.real_time_factor == trip.seconds / trip.duration
    assert trip.original_mel.shape == trip.result_mel.shape == (8, 101)


@pytest.mark.parametrize("n_samples", [33, 64, 100, 1601])
@pytest.mark.parametrize("padding", ["center_reflect", "center_zero", "same_reflect", "none"])
def test_the_result_is_as_long_as_the_original(n_samples, padding):
    if padding == "none" and n_samples < 64:
        with pytest.raises(InputError, match="no frame"):
            job.roundtrip(tone()[:n_samples], MelInverter(TINY.replace(padding=padding), n_iter=1))
        return
    trip = job.roundtrip(torch.cat([tone(), tone()])[:n_samples], MelInverter(TINY.replace(padding=padding), n_iter=1))
    assert trip.result.shape == (n_samples,)
    assert trip.result.isfinite().all()


def test_silence_comes_back_as_silence():
    trip = job.roundtrip(torch.zeros(800), MelInverter(TINY.replace(level={}), n_iter=2))
    assert not trip.result.any()
    assert "mel error" in job.lines(trip, None, None, None)[0]


def test_loading_mixes_and_resamples():
    stereo = torch.stack([tone(), 0.5 * tone()])
    write_audio("stereo.wav", stereo, TINY.sample_rate, "FLOAT")
    waveform, notes = job.load("stereo.wav", TINY)
    assert torch.allclose(waveform, 0.75 * tone(), atol=1e-6)
    assert notes == ["2 channels mixed to one"]
    waveform, notes = job.load("stereo.wav", TINY.replace(sample_rate=16000))
    assert waveform.shape == (3200,)
    assert notes == ["resampled from 8000 to 16000 Hz", "2 channels mixed to one"]
    assert job.load("speech.wav", TINY)[1] == []


@pytest.mark.parametrize(("output", "picture", "subtype", "says"), [
    ("x.mp3", None, None, "'.mp3'"), ("x.flac", None, "DOUBLE", "DOUBLE"), (None, "x.bmp", None, "'.bmp'"),
    (None, "x", None, "no suffix"),
])
def test_outputs_are_checked_first(output, picture, subtype, says):
    with pytest.raises(InputError, match=says):
        job.check_outputs(output, picture, subtype)


def test_saving_and_reporting(trip):
    loud = job.roundtrip(4 * tone(), MelInverter(TINY, n_iter=4))
    written = job.save(loud, "out/x.flac", "out/x.png", title="a title", subtype="PCM_24")
    assert read_audio("out/x.flac")[0].shape == (1, 1600)
    assert Path("out/x.png").read_bytes().startswith(b"\x89PNG")
    text = "\n".join(job.lines(loud, written, "out/x.flac", "out/x.png"))
    for word in ("mel error", "spectral convergence", "times as fast as it plays", "out/x.flac", "out/x.png", "scaled by"):
        assert word in text
    facts = job.report(loud, written, input="x")
    assert facts["input"] == "x"
    assert facts["n_samples"] == 1600
    assert facts["peak"] > 1
    assert job.save(trip, None, None, title="") is None
    assert "peak" not in job.report(trip)


def test_a_picture_that_cannot_be_written(trip):
    Path("x.png").mkdir()
    with pytest.raises(FileError, match="cannot be written"):
        job.save(trip, None, "x.png", title="")
    assert {path.name for path in Path().iterdir()} == {"tiny.json", "mel.npy", "speech.wav", "x.png"}
