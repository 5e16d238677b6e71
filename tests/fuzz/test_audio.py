"""Malicious audio files: damaged ones, and headers with false sample counts and rates."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome, read_isolated
from torchmelinv.errors import FileError, InputError
from torchmelinv.io.audio import read_audio

WAVE = 0.3 * np.sin(np.arange(800) * 0.2)
SUBTYPES = {
    "ogg": "VORBIS",
    "mp3": "MPEG_LAYER_III",
    **dict.fromkeys(("wav", "flac", "aiff", "au", "caf", "w64", "rf64"), "PCM_16"),
}


def encode(kind, wave=WAVE, rate=8000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=kind.upper(), subtype=SUBTYPES[kind])
    return stream.getvalue()


def check_reading(path, content, sample_rate=None):
    """Return the outcome of reading audio: a valid waveform and rate, or a one-line error."""
    path.write_bytes(content)
    result = outcome(lambda: read_audio(path, sample_rate))
    if isinstance(result, tuple):
        waveform, rate = result
        assert np.isfinite(waveform.numpy()).all()
        assert waveform.numel() > 0
        assert rate > 0
    else:
        assert isinstance(result, FileError | InputError)
        assert "\n" not in str(result)
    return result


@MANY
@pytest.mark.parametrize("kind", SUBTYPES)
def test_damaged_files(tmp_path, kind, many):
    content, path = encode(kind), tmp_path / "x.wav"
    assert check_reading(path, content)[0].shape == (1, 800)
    fuzz(lambda case: check_reading(path, case), damaged(content, 100), 50, many)


@MANY
def test_any_rate_and_number_of_channels(tmp_path, many):
    def check(case):
        rate, channels, align, sample_rate = case
        content = bytearray(encode("wav"))
        content[22:34] = struct.pack("<HIIH", channels, rate, rate * align % 2**32, align)
        check_reading(tmp_path / "x.wav", bytes(content), sample_rate)

    rates = st.one_of(
        st.sampled_from([0, 1, 7, 100, 2**31 - 1, 2**31, 2**32 - 1]), st.integers(1, 400_000)
    )
    words = st.integers(0, 2**16 - 1)
    fuzz(check, st.tuples(rates, words, words, st.sampled_from([8000, 22050, 1.0])), 100, many)


def test_false_headers_take_no_memory(tmp_path):
    flac, wav = bytearray(encode("flac")), bytearray(encode("wav"))
    flac[21:26] = bytes([flac[21] | 0x0F]) + b"\xff" * 4  # 2³⁶ − 1 samples
    wav[40:44] = struct.pack("<I", 2**31 - 2**17)
    bomb = encode("flac", np.zeros(90_000_000), 8000)  # 360 MB of float32
    contents = {
        "promises.flac": bytes(flac),
        "promises.wav": bytes(wav),
        "bomb.flac": bomb,
        "empty.wav": b"",
        "half.wav": wav[:40],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in contents]
    for path, (report, peak) in zip(paths, read_isolated("read_audio", paths), strict=True):
        assert str(report).startswith("FileError: "), (path.name, report)
        assert peak < 2**29 + 256 * path.stat().st_size, path.name


def test_an_impossible_rate_raises_before_resampling(tmp_path):
    (tmp_path / "x.wav").write_bytes(encode("wav", rate=1))
    with pytest.raises(InputError, match="more than a factor of 256"):
        read_audio(tmp_path / "x.wav", 22050)
