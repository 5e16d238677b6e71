"""The level of written audio, for mels that hold none and for those who want another one."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.loudness import loudness

__all__ = ["OutputLevel", "default_level"]

_UNITS = {"peak": "dBFS", "loudness": "LUFS"}
_HIGHEST_PEAK = -1.0  # dBFS, which a loudness does not exceed


class OutputLevel(NamedTuple):
    """A level to which waveforms are scaled.

    Args:
        kind: ``"peak"``, or ``"loudness"`` by ITU-R BS.1770.
        value: The level: in dBFS (dB relative to a sample of 1) or in LUFS.

    Example:
        >>> from torchmelinv.corpus.output_level import OutputLevel
        >>> str(OutputLevel("peak", -3))
        'peak -3 dBFS'
    """

    kind: Literal["peak", "loudness"]
    value: float

    def __str__(self) -> str:
        return f"{self.kind} {self.value:g} {_UNITS[self.kind]}"

    def gain(self, waveform: Tensor, sample_rate: float) -> float:
        """Return the factor that gives a waveform this level.

        Args:
            waveform: Waveform (n_samples,) or (channels, n_samples).
            sample_rate: Sample rate in Hz.

        Returns:
            The factor; 1 for silence. A loudness keeps the peak at −1 dBFS at most, so that a
            waveform of few loud peaks stays below the loudness.

        Example:
            >>> import torch
            >>> from torchmelinv.corpus.output_level import OutputLevel
            >>> OutputLevel("peak", -20).gain(torch.tensor([0.0, 0.5]), 16000)
            0.2
        """
        peak = float(waveform.abs().max())
        if not peak > 0 or not math.isfinite(peak):
            return 1.0
        if self.kind == "peak":
            return 10 ** (self.value / 20) / peak
        level = loudness(waveform, sample_rate)
        if not math.isfinite(level):
            return 1.0
        return min(10 ** ((self.value - level) / 20), 10 ** (_HIGHEST_PEAK / 20) / peak)


DEFAULT = OutputLevel("loudness", -23.0)  # that of EBU R 128


def default_level(convention: MelConvention) -> OutputLevel | None:
    """Return the level of audio from mels of a convention, None if the mels hold it themselves.

    Args:
        convention: The convention of the mels.

    Returns:
        −23 LUFS if the convention puts each mel's peak at one value, which removes the level.

    Example:
        >>> import torchmelinv as tmi
        >>> from torchmelinv.corpus.output_level import default_level
        >>> str(default_level(tmi.preset("diffusers_mel", model_space=True)))
        'loudness -23 LUFS'
    """
    return DEFAULT if convention.level.reference_max else None
