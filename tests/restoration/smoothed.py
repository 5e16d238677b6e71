"""A real mel, a smoothed one, and all restorations, for the tests of this folder."""

from __future__ import annotations

import functools

import torch

import torchmelinv as tmi
from benchmarks import mels
from torchmelinv.demo import signal
from torchmelinv.restoration import (
    Auto,
    Contrast,
    MatchModulationSpectrum,
    MatchVariance,
    MelStatistics,
    Restoration,
    Sequential,
    UnsharpMask,
    mel_statistics,
)

NAME = "hifigan_22k"
CONVENTION = tmi.preset(NAME)


NAMES = ("auto", "contrast", "unsharp_mask", "variance", "modulation", "sequence")


@functools.cache
def real() -> torch.Tensor:
    """Return the mel of a synthetic voice with noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2 * 22050, generator=generator)
    return tmi.MelSpectrogram(NAME)(signal(2.0, 22050) + 0.003 * noise)


@functools.cache
def smooth() -> torch.Tensor:
    return mels.degrade(real(), "blurred", CONVENTION, blur=0.8)


@functools.cache
def statistics() -> MelStatistics:
    return mel_statistics([real()], NAME)


def all_restorations() -> dict[str, Restoration]:
    return {
        "auto": Auto(),
        "contrast": Contrast(),
        "unsharp_mask": UnsharpMask(),
        "variance": MatchVariance(statistics()),
        "modulation": MatchModulationSpectrum(statistics()),
        "sequence": Sequential(UnsharpMask(0.5), Contrast(1.1)),
    }


def distance(mel: torch.Tensor) -> float:
    """Return the distance of the details from those of the real mel."""
    details = [each - mels._blur(each, 2.0) for each in (mel, real())]
    return float((details[0] - details[1]).square().mean().sqrt())
