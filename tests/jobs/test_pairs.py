"""Pairs by name; both sides of one kind, rate and length; what cannot be compared says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import write_audio
from torchmelinv.jobs.pairs import Pair, pair_up, read_pair
from torchmelinv.level import expand

ANALYZER = MelAnalyzer(TINY)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def wave(name: str, waveform: torch.Tensor, rate: float = TINY.sample_rate) -> Path:
    write_audio(name, waveform, rate, "FLOAT")
    return Path(name)


def mel(name: str, values: torch.Tensor) -> Path:
    np.save(name, values.numpy())
    return Path(name)


def test_names_are_relative_paths_without_suffix():
    touch("gen/a.wav", "gen/deep/b.npy", "gen/c.flac", "gen/c.npy", "gen/more.wav", "gen/.hidden.wav", "gen/notes.txt")
    touch("ref/a.FLAC", "ref/deep/b.wav", "ref/c.wav", "ref/lost.wav", "ref/b.wav")
    found = {pair.name: pair for pair in pair_up("gen", "ref")}
    assert list(found) == ["a", "b", "c", "deep/b", "lost", "more"]
    assert found["a"] == Pair("a", Path("gen/a.wav"), Path("ref/a.FLAC"))
    assert found["a"].waveforms
    assert not found["deep/b"].waveforms
    errors = {name: pair.error for name, pair in found.items() if pair.error}
    assert errors == {
        "b": "no generated file has this name", "lost": "no generated file has this name",
        "more": "no reference file has this name", "c": "gen/c.flac and gen/c.npy share this name; keep one",
    }


def test_two_files_whatever_their_names():
    touch("one.wav", "other.flac")
    assert pair_up("one.wav", "other.flac") == [Pair("one", Path("one.wav"), Path("other.flac"))]


@pytest.mark.parametrize(("generated", "reference", "error", "says"), [
    ("none", "ref", FileError, "none does not exist"), ("gen", "none", FileError, "none does not exist"),
    ("gen", "ref/b.wav", InputError, "b.wav is a file and the other side a folder"),
    ("gen", "ref", InputError, r"no audio or mel file has the same name on both sides \(1 under gen and 2 under ref\)"),
])
def test_what_cannot_be_paired(generated, reference, error, says):
    touch("gen/a.wav", "ref/b.wav", "ref/deep/a.wav")
    with pytest.raises(error, match=says):
        pair_up(generated, reference)


def test_waveforms_are_resampled_mixed_and_cut():
    generated, reference = wave("g.wav", tone()), wave("r.wav", tone(0.3).repeat(2, 1), 16000)
    sounds = read_pair(Pair("x", generated, reference), ANALYZER)
    assert sounds.generated.shape == sounds.reference.shape == (1200,)
    assert torch.equal(sounds.generated, tone()[:1200])
    assert sounds.notes == ("reference: resampled from 16000 to 8000 Hz", "reference: 2 channels mixed to one",
                            "generated: cut by 0.05 s to the 0.15 s of the other")
    assert not sounds.silent
    assert sounds.n_frames(TINY) == TINY.n_frames(1200)


@pytest.mark.parametrize(("longer", "noted"), [(0, False), (15, False), (16, True)])
def test_a_difference_of_a_hop_is_noted(longer, noted):
    generated, reference = wave("g.wav", tone()), wave("r.wav", tone(0.3)[: 1600 + longer])
    assert bool(read_pair(Pair("x", generated, reference), ANALYZER).notes) == noted


@pytest.mark.parametrize(("longer", "noted"), [(0, False), (1, False), (2, True)])
def test_a_difference_of_two_frames_is_noted(longer, noted):
    generated, reference = mel("g.npy", tiny_mel()), mel("r.npy", torch.cat([tiny_mel(), tiny_mel()[:, :longer]], -1))
    notes = read_pair(Pair("x", generated, reference), ANALYZER).notes
    assert notes == (("reference: cut by 0.00 s to the 0.20 s of the other",) if noted else ())


def test_of_a_mel_and_a_waveform_the_mels_are_taken():
    both = read_pair(Pair("x", mel("g.npy", tiny_mel()), wave("r.wav", tone())), ANALYZER)
    assert both.generated.shape == both.reference.shape == (8, 101)
    torch.testing.assert_close(both.generated, both.reference)
    torch.testing.assert_close(both.generated, expand(tiny_mel(), TINY.level))
    assert both.n_frames(TINY) == 101


@pytest.mark.parametrize("suffix", ["wav", "npy"])
def test_silence_is_seen(suffix):
    generated, silence = wave("g.wav", tone()), wave("r.wav", torch.zeros(1600))
    if suffix == "npy":
        silence = mel("r.npy", ANALYZER(torch.zeros(1600)))
    assert read_pair(Pair("x", generated, silence), ANALYZER).silent
    assert not read_pair(Pair("x", silence, generated), ANALYZER).silent


def test_what_looks_odd_is_a_note():
    notes = read_pair(Pair("x", mel("g.npy", tiny_mel().exp() + 1), wave("r.wav", tone())), ANALYZER).notes
    assert len(notes) == 1
    assert notes[0].startswith("generated: all values")


@pytest.mark.parametrize(("name", "says"), [
    ("none.wav", "none.wav does not exist"), ("text.wav", "text.wav cannot be read as audio"),
    ("two.npy", "two.npy holds 2 mels"), ("turned.npy", "turned.npy: the mel has shape .* transposed"),
    ("empty.wav", "without a single sample"),
])
def test_broken_files(name, says):
    Path("text.wav").write_text("hello")
    mel("two.npy", torch.stack([tiny_mel(), tiny_mel()]))
    mel("turned.npy", tiny_mel().T)
    wave("good.wav", tone())
    soundfile.write("empty.wav", np.zeros(0), 8000)
    for pair in (Pair("x", Path(name), Path("good.wav")), Pair("x", Path("good.wav"), Path(name))):
        with pytest.raises((FileError, InputError), match=says):
            read_pair(pair, ANALYZER)


def test_too_short_for_a_frame():
    analyzer = MelAnalyzer(TINY.replace(padding="none"))
    with pytest.raises(InputError, match="has 63 samples, too few"):
        read_pair(Pair("x", wave("g.wav", tone()[:63]), wave("r.wav", tone())), analyzer)
    assert read_pair(Pair("x", wave("g.wav", tone()[:64]), wave("r.wav", tone())), analyzer).n_frames(analyzer.convention) == 1
