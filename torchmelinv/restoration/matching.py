"""Matching of log mels to the statistics of real ones."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision, outside_inference_mode
from torchmelinv._utils.validation import check_number
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.restoration.band_contrast import band_mean
from torchmelinv.restoration.gaussian import gaussian_filter
from torchmelinv.restoration.log_mel import (
    bounded,
    held_log_mel,
    loud_frames,
    masked_mean,
)
from torchmelinv.restoration.modulation_spectrum import (
    from_modulations,
    loud_segments,
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
_CHANCE = 0.5  # deviation of ln √P of one segment is 0.64; the filter over bands lowers it
_SMOOTHED_BANDS = 2.0  # short items have few segments, whose power varies by chance


@functools.lru_cache(16)
@outside_inference_mode
def _tables(
    statistics: MelStatistics, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return deviations (n_mels,) and logarithms of powers (n_mels, N_MODULATIONS)."""
    deviation = torch.tensor(statistics.band_deviation, dtype=dtype, device=device)
    return deviation, torch.tensor(statistics.modulation_power, dtype=dtype, device=device)


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
    log_mel, counts = held_log_mel(log_mel, lengths)
    if log_mel.shape[-2] != statistics.n_mels:
        raise InputError(
            f"log_mel has {log_mel.shape[-2]} bands and the statistics {statistics.n_mels}"
        )
    return log_mel, counts


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
    its pauses, and a factor from 1 to 3. No value is raised by more than 1.5 nepers, 13 dB.

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
    real = _tables(statistics, log_mel.dtype, log_mel.device)[0].square()[:, None]
    # A band that does not vary at all has nothing to scale.
    least = real / MOST_GAIN**2
    squared = safe_divide(real.expand_as(variance), torch.maximum(variance, least)).clamp(min=1)
    factor = torch.where(variance > 0, squared.pow(weight / 2), 1)
    return bounded(torch.lerp(mean, log_mel, factor), log_mel).reshape(shape)


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

    In segments of 64 frames, each modulation frequency f from the third on is scaled by
    (P_real(f) / P(f))^(w/2), from 1/3 to 3; the first two hold the mean of the band. P is the power
    over the item without its pauses. The factors are smoothed over bands, and what may be chance in
    few segments is given up. No value is raised by more than 1.5 nepers, 13 dB.

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
    real = _tables(statistics, log_mel.dtype, log_mel.device)[1]
    tiny = torch.finfo(log_mel.dtype).tiny
    most = math.log(MOST_GAIN)
    log_gain = (real - power.clamp(min=tiny).log()) / 2
    log_gain = torch.where(power > tiny, log_gain.clamp(-most, most), 0)
    ones = log_gain.new_ones(len(log_gain))
    log_gain = gaussian_filter(
        log_gain, (ones * _SMOOTHED_BANDS**2, 0 * ones), (_SMOOTHED_BANDS, 0.0)
    )
    # The power of a few segments deviates by chance, from band to band; what remains of that after
    # the filter is given up.
    n_segments = loud_segments(log_mel, counts).sum(-1).clamp(min=1).to(log_gain.dtype)
    chance = _CHANCE * n_segments.rsqrt()[:, None, None]
    log_gain = weight * (log_gain - log_gain.clamp(-chance, chance))
    # Up to the window's width the spectrum holds the mean of the band.
    log_gain = torch.cat([torch.zeros_like(log_gain[..., :2]), log_gain[..., 2:]], -1)
    spectrum = modulations(log_mel) * log_gain.exp()[..., None]
    matched = from_modulations(spectrum, log_mel.shape[-1], log_mel)
    return bounded(matched, log_mel).reshape(shape)


@dataclass(frozen=True)
class _Matching(Restoration):
    """What both matchings have: the statistics, and the exponent of the factors."""

    statistics: MelStatistics
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check(self.statistics, self.weight)

    def prepare(self, convention: MelConvention) -> None:
        self.statistics.check(convention)


@dataclass(frozen=True)
class MatchVariance(_Matching):
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

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        return match_variance(log_mel, self.statistics, self.weight, lengths=lengths)


@dataclass(frozen=True)
class MatchModulationSpectrum(_Matching):
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

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        return match_modulation_spectrum(log_mel, self.statistics, self.weight, lengths=lengths)
