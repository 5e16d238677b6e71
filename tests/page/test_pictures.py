"""Pictures of mels: gray levels are decibels on one scale, and the file is a valid PNG."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
import torch

from torchmelinv.page.pictures import LEVELS, MAX_COLUMNS, MAX_ROWS, draw_mel, png
from torchmelinv.plot.panels import RANGE_DB


def read(data: bytes) -> np.ndarray:
    """Return pixels in [0, 1]; matplotlib reads with Pillow, another implementation of PNG."""
    pixels = matplotlib.image.imread(io.BytesIO(data), format="png")
    return pixels if pixels.ndim == 2 else pixels[..., 0]


def test_png_holds_the_pixels() -> None:
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert (np.round(255 * read(png(pixels))) == pixels).all()


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_gray_is_decibels_below_the_peak(power: float) -> None:
    below = torch.tensor([0.0, 20.0, 40.0, 80.0, 120.0, -6.0])  # dB, the last one louder than 0 dB
    mel = 3 * 10 ** (-below * power / 20)
    pixels = read(draw_mel(mel.expand(4, -1), power, 3.0))
    expected = (below / RANGE_DB).clamp(0, 1)
    assert np.abs(pixels - expected.numpy()).max() <= 0.5 / (LEVELS - 1) + 1 / 255


def test_low_bands_are_at_the_bottom() -> None:
    mel = torch.zeros(8, 5)
    mel[0] = 1
    pixels = read(draw_mel(mel, 1.0, 1.0))
    assert (pixels[-1] == 0).all()
    assert (pixels[:-1] == 1).all()


def test_long_mels_are_averaged() -> None:
    mel = torch.rand(300, 3 * MAX_COLUMNS)
    pixels = read(draw_mel(mel, 1.0, 1.0))
    assert pixels.shape == (MAX_ROWS, MAX_COLUMNS)
    constant = read(draw_mel(torch.full((300, 1000), 0.1), 1.0, 1.0))
    assert np.ptp(constant) == 0
    assert constant[0, 0] == pytest.approx(20 / RANGE_DB, abs=0.5 / (LEVELS - 1) + 1 / 255)


def test_silence_is_white() -> None:
    assert (read(draw_mel(torch.zeros(8, 5), 1.0, 0.0)) == 1).all()
