"""Mels as pictures (png), which have 8 bits a pixel: their values by the scale of a preset."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain

_MOST_PIXELS = 2**26


class Picture(NamedTuple):
    """The scale of a picture: low + (high − low) (p / 255)^exponent of a pixel p.

    Args:
        low: Value of the pixel 0.
        high: Value of the pixel 255.
        exponent: The exponent.
        inverted: Whether p is 255 minus the pixel: loud is dark.
        flipped: Whether the lowest band is the bottom row, not the top row.
    """

    low: float
    high: float
    exponent: float = 1.0
    inverted: bool = False
    flipped: bool = False


def read_picture(path: Path | Member, picture: Picture) -> Tensor:
    """Read a picture as a mel (n_mels, n_frames) in float32, (2, n_mels, n_frames) if stereo.

    The picture is gray, or has two channels of sound in green and blue and nothing in red.
    """
    images = require("PIL.Image", "images")
    with open_plain(path) as stream, images.open(stream, formats=["PNG"]) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise ValueError(f"it has {image.width} x {image.height} pixels; save shorter ones")
        check_memory(path, 32 * image.width * image.height)
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise ValueError(f"its pixels are {image.mode}; save the mel as 8 bits of gray")
        pixels = np.asarray(image.convert("RGB"))
    red, green, blue = (pixels[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        channels = [red]
    elif not red.any():
        channels = [green, blue]
    else:
        raise ValueError("it is a colored picture; a mel is gray, not drawn in a colormap")
    levels = torch.from_numpy(np.stack(channels)).double() / 255
    levels = 1 - levels if picture.inverted else levels
    values = picture.low + (picture.high - picture.low) * levels**picture.exponent
    values = values.flip(-2) if picture.flipped else values
    return values.float() if len(channels) > 1 else values[0].float()
