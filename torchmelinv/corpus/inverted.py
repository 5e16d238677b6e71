"""The result of an inversion of one mel among many."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from torch import Tensor

__all__ = ["Inverted"]


@dataclasses.dataclass(frozen=True, eq=False)
class Inverted:
    """The result for one mel: a waveform, or an error.

    Args:
        name: Name of the source: its path, or the name that was given with it.
        waveform: Waveform (n_samples,), or (channels, n_samples) of several channels, in float32 on
            the CPU; None with an error.
        n_frames: Number of frames of the mel.
        mel_error_db: Distance in dB between the linear mel of the waveform and the linear mel after
            its restoration, over all channels together.
        restored: Whether the restoration changed the mel.
        index: Index among the mels of the source, whose leading dimensions are flattened. The
            channels of one recording are one mel.
        count: Number of mels in the source.
        warnings: Doubts about the values of the mel.
        error: The reason why there is no waveform.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", n_iter=4)
        >>> result = next(tmi.invert_many([("silence", torch.full((80, 20), -11.5))], inverter))
        >>> result.name, result.n_frames, result.waveform.shape
        ('silence', 20, torch.Size([5120]))
    """

    name: Any
    waveform: Tensor | None = None
    n_frames: int = 0
    mel_error_db: float = math.nan
    restored: bool = False
    index: int = 0
    count: int = 1
    warnings: tuple[str, ...] = ()
    error: str | None = None
