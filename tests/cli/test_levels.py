"""Levels of the audio: what a mel holds, what was taken away, and what the user asks for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tiny import QUICK, TINY, console, tone, workplace  # noqa: F401
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression
from torchmelinv.corpus.pairs import Pair, read_pair
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.transforms.loudness import loudness

pytestmark = pytest.mark.usefixtures("workplace")

RELATIVE = TINY.replace(
    power=2,
    level=Compression(
        log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80
    ),
)


@pytest.fixture
def relative(workplace):  # noqa: F811
    """Write a mel without a level, and its convention."""
    (workplace / "relative.json").write_text(RELATIVE.to_json())
    np.save("relative.npy", MelSpectrogram(RELATIVE)(tone(2)).numpy())
    return ["--convention", "relative.json", "--n-iter", "4"]


@pytest.mark.parametrize(
    ("options", "kind", "level"),
    [
        ([], "loudness", -23),
        (["--loudness", "-30"], "loudness", -30),
        (["--peak", "-6"], "peak", -6),
        (["--loudness", "0"], "peak", -1),  # the limit of a loudness
    ],
)
def test_mels_without_a_level(run, relative, options, kind, level):
    code, out, err = run("invert", "relative.npy", "-o", "x.wav", *relative, *options)
    assert code == 0
    waveform, rate = read_audio("x.wav")
    found = loudness(waveform, rate) if kind == "loudness" else 20 * waveform.abs().max().log10()
    assert float(found) == pytest.approx(level, abs=0.02)
    note = "the mels hold no absolute level: the audio is written at loudness -23 LUFS"
    assert (note in err) == (not options)
    assert "dB, its peak was " in out


def test_mels_with_a_level(run):
    assert run("invert", "mel.npy", "-o", "x.wav", *QUICK)[1].count("scaled") == 0
    run("invert", "mel.npy", "-o", "y.wav", *QUICK, "--peak", "-12")
    own, scaled = (read_audio(name)[0] for name in ("x.wav", "y.wav"))
    assert float(scaled.abs().max()) == pytest.approx(10 ** (-12 / 20), abs=1e-4)
    assert np.allclose(scaled / scaled.abs().max(), own / own.abs().max(), atol=1e-3)


def test_another_level_is_another_job(run, relative):
    for options, skipped in (([], 0), ([], 1), (["--peak", "-6"], 0)):
        _, out, _ = run("invert", "relative.npy", "-o", "out", *relative, *options)
        assert (out == "") == bool(skipped)


def test_silence_stays_silent(run, relative):
    np.save("silence.npy", np.zeros((8, 50), dtype=np.float32))
    assert run("invert", "silence.npy", "-o", "x.wav", *relative)[0] == 0


def test_roundtrip_is_aligned(run, relative):
    code, out, _ = run("roundtrip", "speech.wav", "-o", "x.wav", *relative)
    assert code == 0
    assert out.startswith("level                 aligned to the recording by ")
    own, result = (float(read_audio(name)[0].square().mean()) for name in ("speech.wav", "x.wav"))
    assert 10 * np.log10(result / own) == pytest.approx(0, abs=0.5)
    error = next(line for line in out.splitlines() if line.startswith("mel error"))
    assert float(error.split()[2]) < -15


def test_evaluation_is_aligned(workplace):  # noqa: F811
    waveform = read_audio("speech.wav")[0][0]
    for name, gain in (("quiet.wav", 0.01), ("silent.wav", 0)):
        write_audio(name, gain * waveform, TINY.sample_rate, "FLOAT")
    for convention in (TINY, RELATIVE):
        aligned = bool(convention.level.reference_max)
        pair = Pair("x", workplace / "quiet.wav", workplace / "speech.wav")
        data = read_pair(pair, MelSpectrogram(convention))
        assert np.allclose(data.generated / data.reference, 1 if aligned else 0.01, rtol=1e-4)
        assert any("scaled to the level" in note for note in data.notes) == aligned
    silent = pair._replace(generated=workplace / "silent.wav")
    assert not read_pair(silent, MelSpectrogram(RELATIVE)).generated.any()


@pytest.mark.parametrize("options", [["--peak", "3"], ["--loudness", "nan"], ["--peak", "-500"]])
def test_levels_that_cannot_be(run, options):
    code, _, err = run("invert", "mel.npy", "-o", "x.wav", *QUICK, *options)
    assert code == 2
    assert "must be a number from -100 to 0" in err


def test_one_level_at_most(run):
    assert run("invert", "mel.npy", "-o", "x.wav", *QUICK, "--peak=-1", "--loudness=-20")[0] == 2
