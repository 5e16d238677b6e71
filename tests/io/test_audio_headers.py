"""Headers of audio files: which formats are decoded, and wav files that are truncated."""

from __future__ import annotations

import ctypes
import io
import os
import struct

import numpy as np
import pytest
import soundfile
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.audio import read_audio, write_audio

RATE = 8000
TAG = b"ID3\x04\0\0\0\0\x01\x02" + bytes(130)  # of 2 · 64 + 2 bytes behind its header


@pytest.fixture
def wave():
    return 0.5 * torch.sin(torch.arange(1600) * 0.3)


def encode(kind, **options):
    stream = io.BytesIO()
    soundfile.write(stream, 0.3 * np.sin(np.arange(800) * 0.2), RATE, format=kind, **options)
    return stream.getvalue()


KINDS = "WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "NIST"


@pytest.mark.parametrize("kind", KINDS)
def test_formats_that_are_read(tmp_path, kind):
    (tmp_path / "x").write_bytes(encode(kind))
    assert read_audio(tmp_path / "x")[0].shape == (1, 800)


@pytest.mark.parametrize("options", [{"format": "WAV"}, {"format": "AU"}])
def test_other_byte_orders_are_read(tmp_path, options):
    endian = "BIG" if options["format"] == "WAV" else "LITTLE"
    (tmp_path / "x").write_bytes(encode(options["format"], endian=endian))
    assert read_audio(tmp_path / "x")[0].shape == (1, 800)


@pytest.mark.parametrize("tags", [1, 2])
def test_tags_before_the_header(tmp_path, tags):
    (tmp_path / "x.mp3").write_bytes(tags * TAG + encode("MP3"))
    assert read_audio(tmp_path / "x.mp3")[0].shape == (1, 800)
    (tmp_path / "x.mp3").write_bytes(tags * TAG)
    with pytest.raises(FileError, match="cannot be read as audio"):
        read_audio(tmp_path / "x.mp3")


@pytest.mark.parametrize("kind", sorted(soundfile.available_formats().keys() - {*KINDS, "RAW"}))
def test_formats_that_are_refused(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # libsndfile leaves a file `._` there for SD2
    (tmp_path / "x.wav").write_bytes(encode(kind))
    with pytest.raises(FileError, match="its header is of another format"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.skipif(os.name == "nt", reason="the standard output of a C library on Unix")
@pytest.mark.parametrize("tag", [b"", TAG])
def test_nothing_is_printed_about_a_damaged_sample_dump(tmp_path, capfd, tag):
    content = bytearray(encode("SDS", subtype="PCM_16"))
    content[100::300] = b"\xaa" * len(content[100::300])
    (tmp_path / "x.wav").write_bytes(tag + content)
    with pytest.raises(FileError, match="cannot be read as audio"):
        read_audio(tmp_path / "x.wav")
    ctypes.CDLL(None).fflush(None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_raise(tmp_path, name, share):
    path = tmp_path / name
    write_audio(path, 0.1 * torch.randn(8000), RATE)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=r"truncated|cannot be read as audio"):
        read_audio(path)


def test_wav_files_from_a_pipe_are_read(tmp_path, wave):
    path = tmp_path / "x.wav"
    write_audio(path, wave, RATE)
    content = path.read_bytes()
    size = b"data" + struct.pack("<I", 3200)
    for placeholder in (0xFFFFFFFF, 0x7FFFF000):
        path.write_bytes(content.replace(size, b"data" + struct.pack("<I", placeholder)))
        assert read_audio(path)[0].shape == (1, 1600)
