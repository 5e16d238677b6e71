"""Restoration of smoothed mels before their inversion.

A network that predicts mels predicts a mean of what is likely: its mels are smoother than those of
any sound, and an exact inversion of them sounds dull and robotic. The functions here sharpen log
mels; the classes of the same names are used by ``MelInverter(…, restore=…)`` and `MelRestoration`.
"""

from torchmelinv.restoration.auto import Auto
from torchmelinv.restoration.band_contrast import Contrast, contrast
from torchmelinv.restoration.matching import (
    MatchModulationSpectrum,
    MatchVariance,
    match_modulation_spectrum,
    match_variance,
)
from torchmelinv.restoration.module import MelRestoration
from torchmelinv.restoration.restoration import Restoration, Sequential
from torchmelinv.restoration.sharpening import UnsharpMask, unsharp_mask
from torchmelinv.restoration.smoothing import Smoothness, smoothness
from torchmelinv.restoration.statistics import MelStatistics, mel_statistics

__all__ = [
    "Auto",
    "Contrast",
    "MatchModulationSpectrum",
    "MatchVariance",
    "MelRestoration",
    "MelStatistics",
    "Restoration",
    "Sequential",
    "Smoothness",
    "UnsharpMask",
    "contrast",
    "match_modulation_spectrum",
    "match_variance",
    "mel_statistics",
    "smoothness",
    "unsharp_mask",
]
