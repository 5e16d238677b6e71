"""Mels as small gray PNG images, with one scale for all."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.plot.panels import RANGE_DB, decibels

LEVELS = 32  # of gray: steps of 2.6 dB, which no eye sees in a mel, and half the bytes of 256
MAX_COLUMNS = 480  # a longer mel is averaged in time
MAX_ROWS = 128


def _average(mel: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    """Average neighbors along an axis until at most `size` values are left."""
    if mel.shape[axis] <= size:
        return mel
    edges = np.linspace(0, mel.shape[axis], size + 1).round().astype(int)
    counts = np.diff(edges).astype(np.float32)
    sums = np.add.reduceat(mel, edges[:-1], axis)
    return np.asarray(sums / (counts[:, None] if axis == 0 else counts), dtype=np.float32)


def draw_mel(mel: Tensor, power: float, peak: float) -> bytes:
    """Draw a mel in dB relative to a peak, white at −RANGE_DB and black at 0 dB.

    Args:
        mel: Linear mel (n_mels, n_frames).
        power: Power of the mel's convention.
        peak: Value of 0 dB.

    Returns:
        PNG file of at most `MAX_ROWS` × `MAX_COLUMNS` pixels, low bands at the bottom.
    """
    small = _average(_average(mel.cpu().float().numpy(), MAX_ROWS, 0), MAX_COLUMNS, 1)
    share = 1 + decibels(torch.from_numpy(small), power, peak).clip(max=0) / RANGE_DB
    level = np.round((LEVELS - 1) * (1 - share[::-1])) * (255 / (LEVELS - 1))
    return png(level.round().astype(np.uint8))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit gray PNG file of pixels (height, width)."""
    height, width = pixels.shape
    rows = np.pad(pixels, ((0, 0), (1, 0)))  # each row starts with the number of its filter, 0
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
