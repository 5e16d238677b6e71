"""Pairs by name; both sides as one kind, rate and length; errors say why two cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset
from torchmelinv.corpus.pairs import Pair, is_silent, pair_files, read_pair
from torchmelinv.errors import FileError, InputError
from torchmelinv.io.audio import write_audio
from torchmelinv.transforms.compression import decompress

ANALYZER = MelSpectrogram(TINY)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def save_wav(name: str, waveform: torch.Tensor, rate: float = TINY.sample_rate) -> Path:
    write_audio(name, waveform, rate, "FLOAT")
    return Path(name)


def save_mel(name: str, mel: torch.Tensor) -> Path:
    np.save(name, mel.numpy())
    return Path(name)


def test_names_are_relative_paths_without_suffix():
    touch(
        "gen/a.wav",
        "gen/deep/b.npy",
        "gen/c.flac",
        "gen/c.npy",
        "gen/more.wav",
        "gen/.hidden.wav",
        "gen/notes.txt",
    )
    touch("ref/a.FLAC", "ref/deep/b.wav", "ref/c.wav", "ref/lost.wav", "ref/b.wav")
    pairs = {pair.name: pair for pair in pair_files("gen", "ref")}
    assert list(pairs) == ["a", "b", "c", "deep/b", "lost", "more"]
    assert pairs["a"] == Pair("a", Path("gen/a.wav"), Path("ref/a.FLAC"))
    assert pairs["a"].has_waveforms
    assert not pairs["deep/b"].has_waveforms
    errors = {name: pair.error for name, pair in pairs.items() if pair.error}
    assert errors == {
        "b": "no generated file has this name",
        "lost": "no generated file has this name",
        "more": "no reference file has this name",
        "c": "gen/c.flac and gen/c.npy have the same name; keep one",
    }


def test_two_files_whatever_their_names():
    touch("first.wav", "other.flac")
    expected = Pair("first", Path("first.wav"), Path("other.flac"))
    assert pair_files("first.wav", "other.flac") == [expected]


@pytest.mark.parametrize(
    ("generated", "reference", "error", "message"),
    [
        ("none", "ref", FileError, "none does not exist"),
        ("gen", "none", FileError, "none does not exist"),
        ("gen", "ref/b.wav", InputError, "b.wav is a file and the other path is a folder"),
        (
            "gen",
            "ref",
            InputError,
            r"no audio or mel file has the same name in both folders \(1 in gen and 2 in ref\)",
        ),
    ],
)
def test_paths_that_cannot_be_paired(generated, reference, error, message):
    touch("gen/a.wav", "ref/b.wav", "ref/deep/a.wav")
    with pytest.raises(error, match=message):
        pair_files(generated, reference)


def test_waveforms_are_resampled_mixed_and_trimmed():
    generated = save_wav("g.wav", tone())
    reference = save_wav("r.wav", tone(0.3).repeat(2, 1), 16000)
    data = read_pair(Pair("x", generated, reference), ANALYZER)
    assert data.generated.shape == data.reference.shape == (1200,)
    assert torch.equal(data.generated, tone()[:1200])
    assert data.notes == (
        "reference: resampled from 16000 to 8000 Hz",
        "reference: 2 channels mixed to one",
        "generated: trimmed by 0.05 s to the 0.15 s of the other",
    )
    assert not is_silent(data.reference)
    assert data.n_frames(TINY) == TINY.n_frames(1200)


@pytest.mark.parametrize(("excess", "noted"), [(0, False), (15, False), (16, True)])
def test_a_difference_of_a_hop_is_noted(excess, noted):
    generated = save_wav("g.wav", tone())
    reference = save_wav("r.wav", tone(0.3)[: 1600 + excess])
    assert bool(read_pair(Pair("x", generated, reference), ANALYZER).notes) == noted


@pytest.mark.parametrize(("excess", "noted"), [(299, False), (300, True)])
def test_a_hop_that_is_no_exact_number_of_seconds_is_noted(excess, noted):
    """300 · (1 / 24000) is less than 300 / 24000 in floating point."""
    convention = preset("styletts2_kokoro")
    generated = save_wav("g.wav", torch.zeros(2400), convention.sample_rate)
    reference = save_wav("r.wav", torch.zeros(2400 + excess), convention.sample_rate)
    pair = Pair("x", generated, reference)
    assert bool(read_pair(pair, MelSpectrogram(convention)).notes) == noted


@pytest.mark.parametrize(("excess", "noted"), [(0, False), (1, False), (2, True)])
def test_a_difference_of_two_frames_is_noted(excess, noted):
    generated = save_mel("g.npy", tiny_mel())
    reference = save_mel("r.npy", torch.cat([tiny_mel(), tiny_mel()[:, :excess]], -1))
    notes = read_pair(Pair("x", generated, reference), ANALYZER).notes
    expected = ("reference: trimmed by 0.00 s to the 0.20 s of the other",)
    assert notes == (expected if noted else ())


def test_of_a_mel_and_a_waveform_the_mels_are_compared():
    pair = Pair("x", save_mel("g.npy", tiny_mel()), save_wav("r.wav", tone()))
    data = read_pair(pair, ANALYZER)
    assert data.generated.shape == data.reference.shape == (8, 101)
    torch.testing.assert_close(data.generated, data.reference)
    torch.testing.assert_close(data.generated, decompress(tiny_mel(), TINY.level))
    assert data.n_frames(TINY) == 101


@pytest.mark.parametrize("suffix", ["wav", "npy"])
def test_silent_references_are_recognized(suffix):
    generated, silence = save_wav("g.wav", tone()), save_wav("r.wav", torch.zeros(1600))
    if suffix == "npy":
        silence = save_mel("r.npy", ANALYZER(torch.zeros(1600)))
    data = read_pair(Pair("x", generated, silence), ANALYZER)
    assert is_silent(data.reference)
    assert not is_silent(data.generated)


def test_doubts_about_values_are_notes():
    pair = Pair("x", save_mel("g.npy", tiny_mel().exp() + 1), save_wav("r.wav", tone()))
    (note,) = read_pair(pair, ANALYZER).notes
    assert note.startswith("generated: all values")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.wav", "none.wav does not exist"),
        ("text.wav", "text.wav cannot be read as audio"),
        ("two.npy", "two.npy holds 2 mels"),
        ("turned.npy", "turned.npy: the mel has shape .* transposed"),
        ("empty.wav", "empty.wav .*sample"),
    ],
)
def test_broken_files(name, message):
    Path("text.wav").write_text("hello")
    save_mel("two.npy", torch.stack([tiny_mel(), tiny_mel()]))
    save_mel("turned.npy", tiny_mel().T)
    save_wav("good.wav", tone())
    soundfile.write("empty.wav", np.zeros(0), 8000)
    for pair in (Pair("x", Path(name), Path("good.wav")), Pair("x", Path("good.wav"), Path(name))):
        with pytest.raises((FileError, InputError), match=message):
            read_pair(pair, ANALYZER)


def test_waveforms_must_have_a_frame():
    mel_spectrogram = MelSpectrogram(TINY.replace(padding="none"))
    reference = save_wav("r.wav", tone())
    with pytest.raises(InputError, match="has 63 samples, too few"):
        read_pair(Pair("x", save_wav("g.wav", tone()[:63]), reference), mel_spectrogram)
    data = read_pair(Pair("x", save_wav("g.wav", tone()[:64]), reference), mel_spectrogram)
    assert data.n_frames(mel_spectrogram.convention) == 1


def test_pictures_beside_other_files_are_plots_of_them():
    touch("g/a.wav", "g/a.png", "r/a.wav", "r/a.png", "pictures/a.png")
    assert [pair.error for pair in pair_files("g", "r")] == [None]
    (pair,) = pair_files("pictures", "r")
    assert pair.generated == Path("pictures/a.png")
    assert not pair.has_waveforms
