"""Audio files that lie: damaged, promising samples and rates that they do not have."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st

from tests.fuzz.harness import MANY, damaged, fuzz, outcome, read_alone
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import read_audio

WAVE = 0.3 * np.sin(np.arange(800) * 0.2)
KINDS = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III", **dict.fromkeys(("wav", "flac", "aiff", "au", "caf", "w64", "rf64"), "PCM_16")}


def encoded(kind, wave=WAVE, rate=8000) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format=kind.upper(), subtype=KINDS[kind])
    return stream.getvalue()


def looked_at(path, content, wanted=None):
    path.write_bytes(content)
    found = outcome(lambda: read_audio(path, wanted))
    if isinstance(found, tuple):
        waveform, rate = found
        assert np.isfinite(waveform.numpy()).all()
        assert waveform.numel() > 0
        assert rate > 0
    else:
        assert isinstance(found, FileError | InputError)
        assert "\n" not in str(found)
    return found


@MANY
@pytest.mark.parametrize("kind", KINDS)
def test_damaged(tmp_path, kind, many):
    whole = encoded(kind)
    assert looked_at(tmp_path / "x.wav", whole)[0].shape == (1, 800)
    fuzz(lambda content: looked_at(tmp_path / "x.wav", content), damaged(whole, 100), 50, many)


@MANY
def test_any_rate_and_number_of_channels(tmp_path, many):
    def check(case):
        rate, channels, align, wanted = case
        content = bytearray(encoded("wav"))
        content[22:34] = struct.pack("<HIIH", channels, rate, rate * align % 2**32, align)
        looked_at(tmp_path / "x.wav", bytes(content), wanted)

    rates = st.one_of(st.sampled_from([0, 1, 7, 100, 2**31 - 1, 2**31, 2**32 - 1]), st.integers(1, 400_000))
    words = st.integers(0, 2**16 - 1)
    fuzz(check, st.tuples(rates, words, words, st.sampled_from([8000, 22050, 1.0])), 100, many)


def test_no_header_is_believed(tmp_path):
    flac, wav = bytearray(encoded("flac")), bytearray(encoded("wav"))
    flac[21:26] = bytes([flac[21] | 0x0F]) + b"\xff" * 4  # 2³⁶ − 1 samples
    wav[40:44] = struct.pack("<I", 2**31 - 2**17)
    bomb = encoded("flac", np.zeros(90_000_000), 8000)  # 360 MB of float32
    lies = {"promises.flac": bytes(flac), "promises.wav": bytes(wav), "bomb.flac": bomb, "empty.wav": b"", "half.wav": wav[:40]}
    paths = []
    for name, content in lies.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    for path, (said, peak) in zip(paths, read_alone("read_audio", paths), strict=True):
        assert str(said).startswith("FileError: "), (path.name, said)
        assert peak < 2**29 + 256 * path.stat().st_size, path.name


def test_a_rate_that_is_none_is_refused_before_resampling(tmp_path):
    (tmp_path / "x.wav").write_bytes(encoded("wav", rate=1))
    with pytest.raises(InputError, match="no rate of audio"):
        read_audio(tmp_path / "x.wav", 22050)
