"""How much a mel was smoothed, from the mel alone.

The logarithm of a signal's mel is rough: noise varies by chance from band to band and from frame to
frame, voices by their harmonics and pulses. A network that was trained for the mean of what may
come next gives a mel without most of that roughness. With the differences Δ of the log mel along an
axis, a Gaussian filter of the variance v (bands² or frames²) scales the ratio

    r = rms Δ⁴ / rms Δ²

of white noise by a known function of v. Its inverse gives the variance of a filter that would make
white noise as smooth as this mel. From it the variance of white noise in the same convention is
subtracted, because overlapping frames and filters smooth, too. What remains is 0.05 to 0.4 for
speech and music in all presets, and grows by 1.4 to 1.9 times v after a filter of the variance v:
by more than v, because speech is not white.

Tones without any noise are smooth as well. Most of them have few audible bands, are smooth along
one axis only, or differ more from band to band than a smoothed mel, and are left alone.
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.batching import map_batch
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision, outside_inference_mode
from torchmelinv._utils.table_cache import GraphTable
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.restoration.log_mel import (
    PAUSE,
    audible,
    below_peak,
    decompressed,
    held_log_mel,
    log_magnitude,
    masked_mean,
    within,
)
from torchmelinv.transforms.mel_filterbank import mel_matrix
from torchmelinv.transforms.spectrum import filterbank_input, power_spectrum
from torchmelinv.transforms.stft import STFT

__all__ = ["Smoothness", "smoothness"]

DEPTH = 9.0  # nepers below the peak that count: 78 dB
# The sum of both axes is at most 0.62 for 25 speech and 8 music recordings in nine conventions
# (0.77 with 20 bands), at least 0.95 for mels of three networks, and 0.5 to 1.1 after a filter with
# a standard deviation of 0.5.
SMOOTH = (0.7, 1.0)
# Pulses are smooth along bands and steady vowels along frames, but not along the other axis.
EACH_AXIS = (0.15, 0.3)
# Of the rougher to the smoother axis: at most 0.24 for mels of MFCCs, which have no detail along
# bands that could be raised, and at least 0.5 for mels of networks.
BALANCE = (0.25, 0.4)
# Share of the values, pauses apart, that are at most LOUD nepers below the peak: at most 0.07 for
# one tone, at least 0.2 for speech.
LOUD, LOUD_SHARE = 5.0, (0.08, 0.12)
# Root mean square of Δ² along bands, in nepers: 0.6 to 0.9 for filtered mels of speech and those of
# networks, 0.9 to 1.2 for mels of speech, 1 to 3 for most sounds of tones without noise.
TONAL = (0.95, 1.1)
# The estimate of a mel with n values that count is uncertain by about 1 / √n: three times as much
# is given up, so that short mels of few bands are not taken for smooth by chance.
UNCERTAINTY = 3.0
ROUGH, SLOPE = 0.15, 1.75  # excess of a signal, and excess per variance of a filter
LARGEST_VARIANCE = 2.25
_LARGEST, _N_VARIANCES = 9.0, 721  # of the table
_LEAST_LENGTH = 5  # of an axis, for one fourth difference
LEAST_BANDS = 16  # fewer hold too little detail for an estimate
_NOISE_FRAMES, _NOISE_SAMPLES = 400, 2**21


class Smoothness(NamedTuple):
    """How much each item was smoothed.

    Args:
        strength: From 0 (as rough as a signal) to 1 (clearly smoothed), (…).
        bands: Standard deviation of the Gaussian filter along bands that would have the same
            effect, in bands, (…).
        frames: The same along frames, in frames, (…).

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(0.1 * torch.randn(22050))
        >>> smoothed = torch.nn.functional.avg_pool2d(mel[None], 3, 1, 1)[0]
        >>> bool(tmi.restoration.smoothness(smoothed, "hifigan_22k").strength > 0.9)
        True
    """

    strength: Tensor
    bands: Tensor
    frames: Tensor


def _log_ratios() -> Tensor:
    """Return ln r of filtered white noise for each variance of the grid: it falls."""
    omega = torch.linspace(0, math.pi, 4097, dtype=torch.float64, device="cpu")[1:]
    grid = torch.linspace(0, _LARGEST, _N_VARIANCES, dtype=torch.float64, device="cpu")
    energy = torch.exp(-grid[:, None] * omega.square())
    squared = (2 - 2 * omega.cos()).square()  # |Δ²|²
    ratio = (energy * squared.square()).sum(-1) / (energy * squared).sum(-1)
    return ratio.log() / 2


_LOG_RATIOS = GraphTable(_log_ratios)


def _variance_of_ratio(log_ratio: Tensor) -> Tensor:
    """Return the variance for ln r by linear interpolation; it goes on beyond the table's end."""
    table = _LOG_RATIOS.like(log_ratio)
    falling = torch.minimum(log_ratio, table[0])
    # Counted, because ONNX has no `searchsorted`.
    index = (table > falling.detach()[..., None]).sum(-1).clamp(1, _N_VARIANCES - 1)
    high, low = table[index - 1], table[index]
    step = _LARGEST / (_N_VARIANCES - 1)
    return step * (index - (falling - low) / (high - low))


def _difference(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return second differences along the last dimension, and where all three values count."""
    second = values[..., 2:] - 2 * values[..., 1:-1] + values[..., :-2]
    return second, mask[..., 2:] & mask[..., 1:-1] & mask[..., :-2]


def _mean_squares(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squares of Δ⁴ and Δ² along the last axis of (items, rows, n): (items, 2)."""
    if values.shape[-1] < _LEAST_LENGTH:
        return values.new_zeros(len(values), 2)
    second, audible_second = _difference(values, mask)
    fourth, audible_fourth = _difference(second, audible_second)
    means = [
        masked_mean(each.square(), where, (-2, -1))[:, 0]
        for each, where in ((fourth, audible_fourth), (second, audible_second))
    ]
    return torch.cat(means, -1)


def _both_axes(log_mel: Tensor, mask: Tensor) -> Tensor:
    """Return `_mean_squares` along bands and frames, (items, 2, 2)."""
    return torch.stack([_mean_squares(log_mel.mT, mask.mT), _mean_squares(log_mel, mask)], 1)


def _variances(mean_squares: Tensor) -> Tensor:
    """Return the equivalent variances (…) of mean squares (…, 2)."""
    tiny = torch.finfo(mean_squares.dtype).tiny
    varies = mean_squares.amin(-1) > tiny
    fourth, second = mean_squares.unbind(-1)
    # What does not vary is no smoothed signal: the ratio of white noise stands for "not smooth".
    rough = (2 * _LOG_RATIOS.like(second)[0]).exp()
    ratio = torch.where(varies, fourth / torch.where(varies, second, 1), rough)
    return _variance_of_ratio(ratio.log() / 2)


def equivalent_variances(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return the variances along bands and frames of log mels, (items, 2)."""
    return _variances(_both_axes(log_mel, audible(log_mel, counts, DEPTH)))


@functools.lru_cache(64)
@outside_inference_mode
def _noise_variances(convention: MelConvention) -> tuple[float, float]:
    generator = torch.Generator("cpu").manual_seed(0)
    n_frames = min(_NOISE_FRAMES, max(_LEAST_LENGTH, _NOISE_SAMPLES // convention.hop_length))
    noise = torch.randn(
        convention.n_samples(n_frames), generator=generator, dtype=torch.float64, device="cpu"
    )
    power = power_spectrum(STFT(convention)(noise))
    # Not by a MelFilterbank, which would warn of empty filters once more.
    mel = mel_matrix(convention) @ filterbank_input(power, convention)
    bands, frames = equivalent_variances(log_magnitude(mel, convention.power)[None], None)[0]
    return float(bands), float(frames)


def noise_variances(convention: MelConvention) -> tuple[float, float]:
    """Return the variances of white noise in a convention, whatever its compression."""
    return _noise_variances(convention.replace(level=Compression()))


def _excess(variances: Tensor, of_noise: tuple[float, float]) -> Tensor:
    """Return the variances (items, 2) above those of white noise."""
    return torch.stack([variances[:, axis] - of_noise[axis] for axis in (0, 1)], -1)


def excess_variances(
    log_mel: Tensor, counts: Tensor | None, of_noise: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Return the variances along bands and frames above those of white noise, each (items)."""
    bands, frames = _excess(equivalent_variances(log_mel, counts), of_noise).unbind(-1)
    return bands, frames


# Where each of the factors of the strength rises from 0 to 1, in the order of `_strength`.
_STEPS = GraphTable(
    lambda: torch.tensor(
        [SMOOTH, EACH_AXIS, BALANCE, LOUD_SHARE, TONAL[::-1]], dtype=torch.float64, device="cpu"
    )
)


def _strength(excess: Tensor, n_values: Tensor, share: Tensor, roughness: Tensor) -> Tensor:
    """Return the strength (items): the product of five smooth steps.

    Args:
        excess: Variances above those of white noise, (items, 2).
        n_values: Number of values that count, (items).
        share: Share of loud values, (items).
        roughness: Root mean square of Δ² along bands, (items).

    Returns:
        The strength, from 0 to 1.
    """
    uncertainty = UNCERTAINTY * n_values.clamp(min=1).to(excess.dtype).rsqrt()
    lower, upper = (each - uncertainty for each in torch.aminmax(excess, dim=-1))
    # If the larger excess is not above 0, its ratio does not matter: another step is 0.
    balance = lower / upper.clamp(min=torch.finfo(upper.dtype).tiny)
    values = torch.stack([lower + upper, lower, balance, share, roughness], -1)
    starts, ends = _STEPS.like(values).unbind(-1)
    ramp = ((values - starts) / (ends - starts)).clamp(0.0, 1.0)
    return (ramp.square() * (3 - 2 * ramp)).prod(-1)


def estimate(log_mel: Tensor, counts: Tensor | None, convention: MelConvention) -> Smoothness:
    """Return the smoothness of log mels (items, n_mels, n_frames), padded by their last frame."""

    of_noise = noise_variances(convention)

    def of_items(log_mel: Tensor, counts: Tensor | None) -> tuple[Tensor, Tensor]:
        relative = below_peak(log_mel)
        counted, loud = within(relative, counts, DEPTH), within(relative, counts, LOUD)
        mean_squares = _both_axes(log_mel, counted)
        excess = _excess(_variances(mean_squares), of_noise)
        no_pause = within(relative, counts, PAUSE).any(-2, keepdim=True).expand_as(log_mel)
        share = masked_mean(loud.to(log_mel.dtype), no_pause, (-2, -1))[:, 0, 0]
        roughness = mean_squares[:, 0, 1].sqrt()
        strength = _strength(excess, counted.sum((-2, -1)), share, roughness)
        if log_mel.shape[-2] < LEAST_BANDS:
            strength = torch.zeros_like(strength)
        return strength, ((excess - ROUGH) / SLOPE).clamp(0.0, LARGEST_VARIANCE).sqrt()

    strength, deviations = map_batch(of_items, log_mel, counts)
    return Smoothness(strength, *deviations.unbind(-1))


def of_linear_mel(linear: Tensor, convention: MelConvention, lengths: Any) -> Smoothness:
    """Return the smoothness of linear mels (…, n_mels, n_frames)."""
    items = linear.shape[:-2]
    linear, counts = held_log_mel(linear, lengths)
    log_mel = log_magnitude(linear, convention.power)
    return Smoothness(*(each.reshape(items) for each in estimate(log_mel, counts, convention)))


@named_options
@torch.no_grad()
@full_precision
def smoothness(
    mel: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> Smoothness:
    """Estimate how much mels were smoothed, from the mels alone.

    Mels of recordings have the strength 0, with few exceptions among those of less than half a
    second; most mels of acoustic models have 0.9 to 1. Items of fewer than five frames, and mels of
    fewer than 16 bands, have the strength 0.

    Args:
        mel: Mel spectrogram (…, n_mels, n_frames) in the convention's values.
        convention: The convention of the mels.
        lengths: Frames of each item of a padded batch, (…).

    Returns:
        Strength and equivalent filters of each item, (…).

    Raises:
        InputError: If shapes or dtypes do not fit.
        ConventionError: If there is no such convention.

    Shape:
        - mel: (…, n_mels, n_frames)
        - lengths: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(0.1 * torch.randn(22050))
        >>> float(tmi.restoration.smoothness(mel, "hifigan_22k").strength)
        0.0
    """
    settings = as_convention(convention)
    linear, _ = decompressed(mel, settings, lengths)
    return of_linear_mel(linear.reshape(mel.shape), settings, lengths)
