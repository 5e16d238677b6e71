"""Audio files: what is written can be read, and damaged files raise clear errors."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
import torch

from torchmelinv.errors import DependencyError, FileError, InputError
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.io.audio_formats import AUDIO_FORMATS

RATE = 8000
STEP = {"PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 2**-23, "FLOAT": 0.0, "DOUBLE": 0.0}


@pytest.fixture
def wave():
    return 0.5 * torch.sin(torch.arange(1600) * 0.3)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [(suffix, subtype) for suffix, (_, subtypes) in AUDIO_FORMATS.items() for subtype in subtypes],
)
def test_audio_survives_writing_and_reading(tmp_path, wave, suffix, subtype):
    path = tmp_path / f"x{suffix}"
    assert write_audio(path, wave, RATE, subtype) == (pytest.approx(float(wave.abs().max())), 0.0)
    waveform, rate = read_audio(path)
    assert (rate, waveform.shape, waveform.dtype) == (RATE, (1, 1600), torch.float32)
    assert (waveform[0] - wave).abs().max() <= 1.5 * STEP[subtype]
    assert soundfile.info(path).subtype == subtype


def test_several_channels(tmp_path, wave):
    write_audio(tmp_path / "x.wav", torch.stack([wave, -wave]), RATE, "FLOAT")
    assert torch.equal(read_audio(tmp_path / "x.wav")[0], torch.stack([wave, -wave]))


@pytest.mark.parametrize(("suffix", "most"), [(".wav", 1024), (".flac", 8)])
def test_a_format_holds_so_many_channels(tmp_path, suffix, most):
    write_audio(tmp_path / f"x{suffix}", torch.zeros(most, 4), RATE)
    assert len(read_audio(tmp_path / f"x{suffix}")[0]) == most
    with pytest.raises(InputError, match=f"{most + 1} channels; .* hold at most {most};"):
        write_audio(tmp_path / f"y{suffix}", torch.zeros(most + 1, 4), RATE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_with_gradient(tmp_path, wave, dtype):
    write_audio(tmp_path / "x.wav", wave.to(dtype).requires_grad_(), RATE, "DOUBLE")
    assert torch.equal(read_audio(tmp_path / "x.wav")[0][0], wave.to(dtype).float())


def test_arrays(tmp_path, wave):
    for array in (
        wave.numpy(),
        wave.double().numpy(),
        np.flip(wave.numpy()),
        wave.numpy().astype(">f4"),
    ):
        frozen = array.view()
        frozen.flags.writeable = False
        write_audio(tmp_path / "x.wav", frozen, 22050, "FLOAT")
        read, _ = read_audio(tmp_path / "x.wav")
        assert np.array_equal(read[0].numpy(), array.astype(np.float32))
    for wrong in (wave.numpy().astype(complex), np.array(["a"]), np.zeros(4, np.int16)):
        with pytest.raises(InputError, match="the waveform is"):
            write_audio(tmp_path / "x.wav", wrong, 22050)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_integer_formats_scale_instead_of_clipping(tmp_path, wave, subtype):
    result = write_audio(tmp_path / "x.wav", 5 * wave, RATE, subtype)
    peak = float(5 * wave.abs().max())
    assert result == (pytest.approx(peak), pytest.approx(-20 * np.log10(peak)))
    waveform, _ = read_audio(tmp_path / "x.wav")
    assert torch.allclose(waveform[0], 5 * wave / peak, atol=1e-4)


def test_float_formats_keep_samples_beyond_one(tmp_path, wave):
    assert write_audio(tmp_path / "x.wav", 5 * wave, RATE, "FLOAT").gain_db == 0
    assert torch.equal(read_audio(tmp_path / "x.wav")[0][0], 5 * wave)


def test_reading_resamples(tmp_path):
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(RATE) / RATE)
    write_audio(tmp_path / "x.wav", tone, RATE, "FLOAT")
    waveform, rate = read_audio(tmp_path / "x.wav", 22050)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    assert (rate, waveform.shape) == (22050, (1, 22050))
    assert (waveform[0] - expected)[500:-500].abs().max() < 1e-3


@pytest.mark.parametrize(
    ("waveform", "rate", "subtype", "name", "error", "message"),
    [
        (torch.tensor([0.0, np.nan]), RATE, None, "x.wav", InputError, "NaN or Inf"),
        (torch.tensor([0.0, np.inf]), RATE, "FLOAT", "x.wav", InputError, "NaN or Inf"),
        (torch.zeros(8), 22050.5, None, "x.wav", InputError, "whole sample rates"),
        (torch.zeros(8), 0, None, "x.wav", InputError, "whole sample rates"),
        (torch.zeros(0), RATE, None, "x.wav", InputError, "shape"),
        (torch.zeros(1, 1, 8), RATE, None, "x.wav", InputError, r"\(1, 1, 8\)"),
        (torch.zeros(8, dtype=torch.int16), RATE, None, "x.wav", InputError, "int16"),
        (torch.zeros(8, dtype=torch.complex64), RATE, None, "x.wav", InputError, "complex64"),
        (torch.zeros(8), RATE, None, "x.mp3", InputError, r"'.mp3'; it must end in .wav or .flac"),
        (torch.zeros(8), RATE, None, "x", InputError, "no suffix"),
        (torch.zeros(8), RATE, "FLOAT", "x.flac", InputError, "cannot hold the subtype 'FLOAT'"),
        (torch.zeros(8), RATE, "PCM_8", "x.wav", InputError, "they can hold PCM_16"),
        (torch.zeros(8), 2_000_000, None, "x.flac", FileError, "cannot be written as FLAC"),
    ],
)
def test_errors_of_writing(tmp_path, waveform, rate, subtype, name, error, message):
    with pytest.raises(error, match=message):
        write_audio(tmp_path / name, waveform, rate, subtype)
    assert list(tmp_path.iterdir()) == []


def test_errors_of_writing_to_a_folder_or_below_a_file(tmp_path, wave):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.wav", tmp_path / "file" / "x.wav"):
        with pytest.raises(FileError, match="cannot be written"):
            write_audio(path, wave, RATE)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.wav"]


def test_writing_creates_missing_folders(tmp_path, wave):
    write_audio(tmp_path / "a" / "b" / "x.flac", wave, RATE)
    assert read_audio(tmp_path / "a" / "b" / "x.flac")[1] == RATE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as audio"),
        (b"hello" * 50, "cannot be read as audio"),
        (None, "does not exist"),
    ],
)
def test_files_without_audio_raise(tmp_path, content, message):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_audio(path)


def test_the_suffix_of_headerless_files(tmp_path, wave):
    write_audio(tmp_path / "x.wav", wave, RATE)
    (tmp_path / "x.wav").rename(tmp_path / "x.raw")
    with pytest.raises(FileError, match="cannot be read as audio"):
        read_audio(tmp_path / "x.raw")


def test_folders_and_empty_audio_raise(tmp_path):
    with pytest.raises(FileError, match="is a folder"):
        read_audio(tmp_path)
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(FileError, match="without a single sample"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_missing_packages_are_named(tmp_path, wave, monkeypatch, package):
    write_audio(tmp_path / "x.wav", wave, RATE)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=f"pip install {package}"):
        read_audio(tmp_path / "x.wav", 22050)
