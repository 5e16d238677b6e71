"""Audio and mel files: what goes in comes out, and what is broken is refused with a word."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
import soundfile
import torch

from torchmelinv import files
from torchmelinv.errors import DependencyError, FileError, InputError
from torchmelinv.files import aside, find_mels, read_audio, read_mel, resample, write_audio

RATE = 8000
STEP = {"PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 2**-23, "FLOAT": 0.0, "DOUBLE": 0.0}


@pytest.fixture
def wave():
    return 0.5 * torch.sin(torch.arange(1600) * 0.3)


@pytest.fixture
def mel():
    return torch.rand(8, 20)


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


# Audio


@pytest.mark.parametrize(("suffix", "subtype"), [(s, t) for s, (_, types) in files.AUDIO_FORMATS.items() for t in types])
def test_audio_comes_back(tmp_path, wave, suffix, subtype):
    path = tmp_path / f"x{suffix}"
    assert write_audio(path, wave, RATE, subtype) == (pytest.approx(float(wave.abs().max())), 0.0)
    back, rate = read_audio(path)
    assert (rate, back.shape, back.dtype) == (RATE, (1, 1600), torch.float32)
    assert (back[0] - wave).abs().max() <= 1.5 * STEP[subtype]
    assert soundfile.info(path).subtype == subtype


def test_channels_and_shapes(tmp_path, wave):
    write_audio(tmp_path / "x.wav", torch.stack([wave, -wave]), RATE, "FLOAT")
    back, _ = read_audio(tmp_path / "x.wav")
    assert torch.equal(back, torch.stack([wave, -wave]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_with_gradient(tmp_path, wave, dtype):
    write_audio(tmp_path / "x.wav", wave.to(dtype).requires_grad_(), RATE, "DOUBLE")
    assert torch.equal(read_audio(tmp_path / "x.wav")[0][0], wave.to(dtype).float())


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_too_loud_is_scaled_never_clipped(tmp_path, wave, subtype):
    written = write_audio(tmp_path / "x.wav", 5 * wave, RATE, subtype)
    peak = float(5 * wave.abs().max())
    assert written == (pytest.approx(peak), pytest.approx(-20 * np.log10(peak)))
    back, _ = read_audio(tmp_path / "x.wav")
    assert torch.allclose(back[0], 5 * wave / peak, atol=1e-4)


def test_float_files_keep_what_is_too_loud(tmp_path, wave):
    assert write_audio(tmp_path / "x.wav", 5 * wave, RATE, "FLOAT").gain_db == 0
    assert torch.equal(read_audio(tmp_path / "x.wav")[0][0], 5 * wave)


def test_resampling_keeps_a_tone(tmp_path):
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(RATE) / RATE)
    write_audio(tmp_path / "x.wav", tone, RATE, "FLOAT")
    back, rate = read_audio(tmp_path / "x.wav", 22050)
    expected = torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    assert (rate, back.shape) == (22050, (1, 22050))
    assert (back[0] - expected)[500:-500].abs().max() < 1e-3
    assert resample(tone[None], RATE, RATE) is not None


@pytest.mark.parametrize(("waveform", "rate", "subtype", "name", "error", "says"), [
    (torch.tensor([0.0, np.nan]), RATE, None, "x.wav", InputError, "NaN or Inf"),
    (torch.tensor([0.0, np.inf]), RATE, "FLOAT", "x.wav", InputError, "NaN or Inf"),
    (torch.zeros(8), 22050.5, None, "x.wav", InputError, "whole sample rates"),
    (torch.zeros(8), 0, None, "x.wav", InputError, "whole sample rates"),
    (torch.zeros(0), RATE, None, "x.wav", InputError, "shape"),
    (torch.zeros(1, 1, 8), RATE, None, "x.wav", InputError, r"\(1, 1, 8\)"),
    (torch.zeros(8, dtype=torch.int16), RATE, None, "x.wav", InputError, "int16"),
    (torch.zeros(8, dtype=torch.complex64), RATE, None, "x.wav", InputError, "complex64"),
    (torch.zeros(8), RATE, None, "x.mp3", InputError, r"'.mp3'; .wav and .flac"),
    (torch.zeros(8), RATE, None, "x", InputError, "no suffix"),
    (torch.zeros(8), RATE, "FLOAT", "x.flac", InputError, "cannot hold the subtype 'FLOAT'"),
    (torch.zeros(8), RATE, "PCM_8", "x.wav", InputError, "they can hold PCM_16"),
    (torch.zeros(8), 2_000_000, None, "x.flac", FileError, "cannot be written as FLAC"),
])
def test_writing_refuses(tmp_path, waveform, rate, subtype, name, error, says):
    with pytest.raises(error, match=says):
        write_audio(tmp_path / name, waveform, rate, subtype)
    assert list(tmp_path.iterdir()) == []


def test_writing_onto_a_folder_or_below_a_file(tmp_path, wave):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder.wav", tmp_path / "file" / "x.wav"):
        with pytest.raises(FileError, match="cannot be written"):
            write_audio(path, wave, RATE)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.wav"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, OSError])
def test_nothing_partial_is_left(tmp_path, failure):
    path = tmp_path / "deep" / "x.wav"
    path.parent.mkdir()
    path.write_text("before")

    def write():
        with aside(path) as temporary:
            temporary.write_text("half of")
            assert temporary.parent == path.parent
            assert temporary.suffix == ".wav"
            raise failure

    with pytest.raises((failure, FileError)):
        write()
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_folders_are_made(tmp_path, wave):
    write_audio(tmp_path / "a" / "b" / "x.flac", wave, RATE)
    assert read_audio(tmp_path / "a" / "b" / "x.flac")[1] == RATE


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_audio_is_refused(tmp_path, name, share):
    write_audio(tmp_path / name, 0.1 * torch.randn(8000), RATE)
    cut(tmp_path / name, share)
    with pytest.raises(FileError, match=r"truncated|cannot be read as audio"):
        read_audio(tmp_path / name)


def test_wav_from_a_pipe_is_read(tmp_path, wave):
    write_audio(tmp_path / "x.wav", wave, RATE)
    content = (tmp_path / "x.wav").read_bytes()
    for size in (0xFFFFFFFF, 0x7FFFF000):
        (tmp_path / "x.wav").write_bytes(content.replace(b"data" + struct.pack("<I", 3200), b"data" + struct.pack("<I", size)))
        assert read_audio(tmp_path / "x.wav")[0].shape == (1, 1600)


@pytest.mark.parametrize(("content", "says"), [
    (b"", "cannot be read as audio"), (b"hello" * 50, "cannot be read as audio"), (None, "does not exist"),
])
def test_what_is_no_audio_is_refused(tmp_path, content, says):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError, match=says):
        read_audio(path)


def test_folder_and_empty_audio_are_refused(tmp_path):
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


# Mels


def save_mel(path, mel, name="mel"):
    if path.suffix == ".npy":
        np.save(path, mel.numpy())
    elif path.suffix == ".npz":
        np.savez(path, **{name: mel.numpy()})
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file({name: mel}, path)
    else:
        torch.save(mel, path)


@pytest.mark.parametrize("suffix", files.MEL_SUFFIXES)
@pytest.mark.parametrize("shape", [(8, 20), (1, 8, 20), (3, 8, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_mel_comes_back(tmp_path, suffix, shape, dtype):
    mel = torch.rand(shape).to(dtype)
    save_mel(tmp_path / f"x{suffix}", mel)
    back = read_mel(tmp_path / f"x{suffix}")
    assert back.dtype == dtype
    assert torch.equal(back, mel)


def test_the_mel_is_found_by_its_name(tmp_path, mel):
    np.savez(tmp_path / "a.npz", wave=np.zeros(5), Mel=mel.numpy(), config=np.array("{}"))
    torch.save({"log_mel": mel, "text": "hello", "length": 20}, tmp_path / "a.pt")
    np.savez_compressed(tmp_path / "b.npz", anything=mel.numpy())
    for name in ("a.npz", "a.pt", "b.npz"):
        assert torch.equal(read_mel(tmp_path / name), mel)


def test_tensors_with_gradient_and_big_endian_arrays(tmp_path, mel):
    torch.save(mel.clone().requires_grad_(), tmp_path / "a.pt")
    np.save(tmp_path / "b.npy", mel.numpy().astype(">f4"))
    np.save(tmp_path / "c.npy", np.asfortranarray(mel.numpy()))
    np.save(tmp_path / "d.npy", mel.numpy().astype(np.longdouble))
    for name in ("a.pt", "b.npy", "c.npy", "d.npy"):
        back = read_mel(tmp_path / name)
        assert not back.requires_grad
        assert torch.equal(back.float(), mel)


@pytest.mark.parametrize(("arrays", "says"), [
    ({"a": np.zeros(3), "b": np.ones((2, 2))}, r"'a' \(3,\), 'b' \(2, 2\); it must hold exactly one"),
    ({"mel": np.zeros(3), "log_mel": np.zeros(3)}, "'mel'"),
    ({}, "holds nothing"),
    ({"mel": np.array("text")}, "not of numbers"),
    ({"mel": np.zeros(3, dtype=bool)}, "array of bool"),
])
def test_unclear_archives_are_refused(tmp_path, arrays, says):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FileError, match=says):
        read_mel(tmp_path / "x.npz")


class Anything:
    """An object that must never be unpickled."""


@pytest.mark.parametrize("content", [[torch.zeros(2), torch.zeros(3)], "text", {"mel": 3.0}])
def test_other_content_of_pt_files_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(FileError, match="not an array"):
        read_mel(tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_pickled_objects_are_never_loaded(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    if suffix == ".pt":
        torch.save({"mel": Anything()}, path)
    else:
        objects = np.array([{}, 1], dtype=object)
        np.save(path, objects, allow_pickle=True) if suffix == ".npy" else np.savez(path, mel=objects)
    with pytest.raises(FileError, match="never loaded") as raised:
        read_mel(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", files.MEL_SUFFIXES)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_truncated_mels_are_refused(tmp_path, suffix, share):
    path = tmp_path / f"x{suffix}"
    save_mel(path, torch.rand(8, 100))
    cut(path, share)
    with pytest.raises(FileError, match=rf"cannot be read as {suffix}"):
        read_mel(path)


@pytest.mark.parametrize("suffix", files.MEL_SUFFIXES)
def test_text_is_no_mel(tmp_path, suffix):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"x{suffix}"
    path.write_text("This is not a mel. " * 20)
    with pytest.raises(FileError, match=rf"cannot be read as {suffix}: \S"):
        read_mel(path)


def test_wrong_places_and_suffixes(tmp_path):
    (tmp_path / "x.csv").touch()
    (tmp_path / "x").touch()
    for path, says in ((tmp_path / "x.csv", "'.csv'; mels are read from .npy .npz"), (tmp_path / "x", "no suffix"),
                       (tmp_path, "is a folder"), (tmp_path / "none.npy", "does not exist")):
        with pytest.raises(FileError, match=says):
            read_mel(path)


def test_missing_safetensors_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(DependencyError, match="pip install safetensors"):
        read_mel(tmp_path / "x.safetensors")


def test_folders_are_searched_in_order(tmp_path):
    for name in ("b/y.npy", "a.NPZ", "b/c/x.pt", "readme.txt", ".hidden.npy", ".cache/z.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in find_mels(tmp_path)] == ["a.NPZ", "b/c/x.pt", "b/y.npy"]


def test_an_archive_under_the_wrong_name_is_still_read(tmp_path, mel):
    stream = io.BytesIO()
    np.savez(stream, mel=mel.numpy())
    (tmp_path / "x.npy").write_bytes(stream.getvalue())
    assert torch.equal(read_mel(tmp_path / "x.npy"), mel)
