"""Matching of log mels to the statistics of real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.restoration.band_contrast import band_mean, loud_frames
from torchmelinv.restoration.gaussian import gaussian_filter
from torchmelinv.restoration.log_mel import check_log_mel, hold_last_frame, masked_mean
from torchmelinv.restoration.modulation_spectrum import (
    from_modulations,
    modulation_power,
    modulations,
)
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.statistics import MelStatistics

__all__ = [
    "MatchModulationSpectrum",
    "MatchVariance",
    "match_modulation_spectrum",
    "match_variance",
]

MOST_GAIN = 3.0
_SMOOTHED_BANDS = 2.0  # short items have few segments, whose power varies by chance


def _check(statistics: MelStatistics, weight: float) -> None:
    if not isinstance(statistics, MelStatistics):
        raise InputError(
            f"statistics has type {type(statistics).__name__}; it must be MelStatistics, as "
            "mel_statistics returns them"
        )
    check_number("weight", weight, 0, 1)


def _prepared(
    log_mel: Tensor, statistics: MelStatistics, lengths: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    log_mel, counts = check_log_mel(log_mel, lengths)
    if log_mel.shape[-2] != statistics.n_mels:
        raise InputError(
            f"log_mel has {log_mel.shape[-2]} bands and the statistics {statistics.n_mels}"
        )
    return hold_last_frame(log_mel, counts), counts


@named_options
@full_precision
def match_variance(
    log_mel: Tensor,
    statistics: MelStatistics,
    weight: float = 1.0,
    *,
    lengths: Tensor | None = None,
) -> Tensor:
    """Scale the deviation of each band to the global variance of real mels.

    μ + (σ_real / σ)^w (m − μ), with the mean μ and the deviation σ of each band of the item without
    its pauses, and a factor from 1/3 to 3.

    Args:
        log_mel: Natural logarithm of a magnitude mel, (…, n_mels, n_frames), in nepers.
        statistics: Statistics of real mels.
        weight: The exponent w, from 0 (no change) to 1.
        lengths: Frames of each item of a padded batch, (…); later frames are those of the last one.

    Returns:
        Log mel (…, n_mels, n_frames).

    Raises:
        InputError: If a shape, dtype or number does not fit.

    Shape:
        - log_mel: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…, n_mels, n_frames)

    References:
        H. Silén, E. Helander, J. Nurminen and M. Gabbouj, "Ways to implement global variance in
        statistical speech synthesis", Interspeech 2012.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> log_mel = torch.randn(80, 50)
        >>> real = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> statistics = tmi.restoration.mel_statistics([real], "hifigan_22k")
        >>> tmi.restoration.match_variance(log_mel, statistics).shape
        torch.Size([80, 50])
    """
    _check(statistics, weight)
    shape = log_mel.shape
    log_mel, counts = _prepared(log_mel, statistics, lengths)
    mean, loud = band_mean(log_mel, counts), loud_frames(log_mel, counts)
    variance = masked_mean((log_mel - mean).square(), loud.expand_as(log_mel), -1)
    real = torch.tensor(statistics.band_deviation, dtype=log_mel.dtype, device=log_mel.device)
    squared = safe_divide(real.square()[:, None].expand_as(variance), variance)
    # A band that does not vary at all has nothing to scale.
    squared = torch.where(variance > 0, squared.clamp(MOST_GAIN**-2, MOST_GAIN**2), 1)
    return torch.lerp(mean, log_mel, squared.pow(weight / 2)).reshape(shape)


@named_options
@full_precision
def match_modulation_spectrum(
    log_mel: Tensor,
    statistics: MelStatistics,
    weight: float = 1.0,
    *,
    lengths: Tensor | None = None,
) -> Tensor:
    """Scale the fluctuations of each band to the modulation spectrum of real mels.

    Each modulation frequency f above 0 is scaled by (P_real(f) / P(f))^(w/2), at least 1 and at
    most 3, in segments of 64 frames; P is the power over the item without its pauses, and the
    factors are smoothed over bands.

    Args:
        log_mel: Natural logarithm of a magnitude mel, (…, n_mels, n_frames), in nepers.
        statistics: Statistics of real mels with the same frame rate.
        weight: The exponent w, from 0 (no change) to 1.
        lengths: Frames of each item of a padded batch, (…); later frames are those of the last one.

    Returns:
        Log mel (…, n_mels, n_frames).

    Raises:
        InputError: If a shape, dtype or number does not fit.

    Shape:
        - log_mel: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…, n_mels, n_frames)

    References:
        S. Takamichi, T. Toda, A. W. Black, G. Neubig, S. Sakti and S. Nakamura, "Postfilters to
        modify the modulation spectrum for statistical parametric speech synthesis", IEEE/ACM
        Transactions on Audio, Speech, and Language Processing 24(4), 2016.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> log_mel = torch.randn(80, 50)
        >>> real = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> statistics = tmi.restoration.mel_statistics([real], "hifigan_22k")
        >>> tmi.restoration.match_modulation_spectrum(log_mel, statistics).shape
        torch.Size([80, 50])
    """
    _check(statistics, weight)
    shape = log_mel.shape
    log_mel, counts = _prepared(log_mel, statistics, lengths)
    power = modulation_power(log_mel, counts)
    real = torch.tensor(statistics.modulation_power, dtype=log_mel.dtype, device=log_mel.device)
    tiny = torch.finfo(log_mel.dtype).tiny
    log_gain = weight / 2 * (real - power.clamp(min=tiny).log())
    log_gain = torch.where(power > tiny, log_gain.clamp(0, math.log(MOST_GAIN)), 0)
    ones = log_gain.new_ones(len(log_gain))
    log_gain = gaussian_filter(log_gain, (ones * _SMOOTHED_BANDS**2, 0 * ones), _SMOOTHED_BANDS)
    # Up to the window's width the spectrum holds the mean of the band.
    log_gain = torch.cat([torch.zeros_like(log_gain[..., :2]), log_gain[..., 2:]], -1)
    spectrum = modulations(log_mel) * log_gain.exp()[..., None]
    return from_modulations(spectrum, log_mel.shape[-1], log_mel).reshape(shape)


@dataclass(frozen=True)
class MatchVariance(Restoration):
    """Match the variance of each band; see `match_variance`.

    Args:
        statistics: Statistics of real mels.
        weight: Exponent of the factors, from 0 to 1.

    Raises:
        InputError: If a value does not fit.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> real = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> statistics = tmi.restoration.mel_statistics([real], "hifigan_22k")
        >>> restore = tmi.restoration.MatchVariance(statistics)
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=restore)
    """

    statistics: MelStatistics
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check(self.statistics, self.weight)

    def restore(self, log_mel: Tensor, counts: Tensor | None, convention: MelConvention) -> Tensor:
        self.statistics.check(convention)
        return match_variance(log_mel, self.statistics, self.weight, lengths=counts)


@dataclass(frozen=True)
class MatchModulationSpectrum(Restoration):
    """Match the modulation spectrum of each band; see `match_modulation_spectrum`.

    Args:
        statistics: Statistics of real mels.
        weight: Exponent of the factors, from 0 to 1.

    Raises:
        InputError: If a value does not fit.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> real = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> statistics = tmi.restoration.mel_statistics([real], "hifigan_22k")
        >>> restore = tmi.restoration.MatchModulationSpectrum(statistics)
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=restore)
    """

    statistics: MelStatistics
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check(self.statistics, self.weight)

    def restore(self, log_mel: Tensor, counts: Tensor | None, convention: MelConvention) -> Tensor:
        self.statistics.check(convention)
        return match_modulation_spectrum(log_mel, self.statistics, self.weight, lengths=counts)
