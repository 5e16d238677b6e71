"""Pictures as riffusion and diffusers make them, and pictures of something else."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from torchmelinv.conventions.presets import preset_info
from torchmelinv.errors import FileError
from torchmelinv.io.mels import MelLayout, find_mels, read_mel
from torchmelinv.io.picture_files import Picture

Image = pytest.importorskip("PIL.Image")
RANDOM = np.random.default_rng(0)


def layout_of(name: str) -> MelLayout:
    return MelLayout(picture=Picture(**preset_info(name).picture))


def test_diffusers(tmp_path):
    """As in `Mel.audio_slice_to_image`."""
    decibels = RANDOM.uniform(-80, 0, (16, 20))
    decibels[3, 4] = 0
    pixels = ((decibels + 80) * 255 / 80).clip(0, 255) + 0.5
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "x.png")
    found = read_mel(tmp_path / "x.png", layout_of("diffusers_mel")).numpy()
    assert np.abs(found - decibels).max() < 0.5 * 80 / 255 + 1e-6
    assert found.max() == 0


@pytest.mark.parametrize("channels", [1, 2])
def test_riffusion(tmp_path, channels):
    """As in `image_from_spectrogram`."""
    mel = 1000 * RANDOM.random((channels, 16, 20)) ** 4
    data = 255 - (mel / mel.max()) ** 0.25 * 255
    data = data.astype(np.uint8)
    if channels == 1:
        image = Image.fromarray(data[0], mode=None).convert("RGB")
    else:
        image = Image.fromarray(np.stack([np.zeros_like(data[0]), *data], -1), mode=None)
    image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    image.save(tmp_path / "x.png", exif=image.getexif())
    found = read_mel(tmp_path / "x.png", layout_of("riffusion")).numpy()
    assert found.shape == (mel[0].shape if channels == 1 else mel.shape)
    found = found.reshape(mel.shape) / found.max()
    assert np.abs(found**0.25 - (mel / mel.max()) ** 0.25).max() < 1.01 / 255


def test_other_pictures_and_conventions_are_refused(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(RANDOM.integers(0, 255, (8, 9, 3), dtype=np.uint8)).save(path)
    with pytest.raises(FileError, match="colored picture"):
        read_mel(path, layout_of("riffusion"))
    with pytest.raises(FileError, match="states no scale"):
        read_mel(path)
    Image.fromarray(RANDOM.integers(0, 255, (8, 9), dtype=np.uint8)).save(path, format="JPEG")
    with pytest.raises(FileError, match=r"cannot be read as \.png"):
        read_mel(path, layout_of("riffusion"))


def test_a_picture_that_would_fill_the_memory(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**15, 2**15, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(2**20)))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))
    with pytest.raises(FileError, match=r"32768 x 32768 pixels|exceeds limit"):
        read_mel(tmp_path / "x.png", layout_of("riffusion"))


def test_pictures_beside_mels_are_left_out(tmp_path):
    (tmp_path / "plot.png").touch()
    assert find_mels(tmp_path) == [tmp_path / "plot.png"]
    (tmp_path / "a.npy").touch()
    assert find_mels(tmp_path) == [tmp_path / "a.npy"]
