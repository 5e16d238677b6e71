"""The long-term spectrum: levels of third-octave bands, and energy at the edges of the filters.

The spectrum is Welch's sum of squared Hann frames of about 0.3 s, overlapping by three quarters.
Silence around the signal gives each sample the same weight, so the sum over all frequencies is
proportional to the energy.
"""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_number
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import energy_ratio_db, or_one, peak

__all__ = ["band_level_db", "edge_energy_db", "third_octave_bands"]

LOWEST_RATE = 1000  # Hz, of waveforms that have bands and onsets
_FRAME_SECONDS = 0.3
_LOWEST_BAND, _HIGHEST_BAND = -13, 20  # 50 Hz and 100 kHz: the center is 1 kHz · 10^(band / 10)
_RANGE = 1e-6  # of the reference's energy: bands with less count as this
_EDGE = 0.01  # of the filters' band
_LEAST_SHARE = 1e-6  # of the energy; what is softer is not heard beside the rest


def near_power_of_two(samples: float) -> int:
    """Return the power of two that is nearest to a number of samples, by ratio."""
    return 1 << max(1, round(math.log2(samples)))


def frame_powers(waveform: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Return |STFT|² with a Hann window and a frame of silence on each side, (…, T, n_freqs)."""
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    frames = pad(waveform, (n_fft, n_fft + hop_length)).unfold(-1, n_fft, hop_length)
    return torch.fft.rfft(frames * window).abs().square()


def long_term_spectrum(waveform: Tensor, sample_rate: float) -> tuple[Tensor, Tensor]:
    """Return the energy at each frequency, (…, n_freqs), and the frequencies in Hz."""
    n_fft = near_power_of_two(_FRAME_SECONDS * sample_rate)
    energy = 2 * frame_powers(waveform, n_fft, n_fft // 4).sum(-2)
    energy[..., :: n_fft // 2] /= 2  # one side of the spectrum stands for both, but at its ends
    frequencies = torch.arange(n_fft // 2 + 1, device=waveform.device) * (sample_rate / n_fft)
    return energy, frequencies


@named_options
def third_octave_bands(sample_rate: float) -> list[float]:
    """Return the center frequencies of the third-octave bands below half of a sample rate.

    The bands are those of IEC 61260-1 with the base 10: from 50 Hz, the center of band k is
    10^(k / 10) kHz, its edges are 10^(±1 / 20) times the center.

    Args:
        sample_rate: Sample rate in Hz, at least 1000.

    Returns:
        Center frequencies in Hz, ascending.

    Raises:
        InputError: If the sample rate is below 1000 Hz.

    References:
        IEC 61260-1, "Electroacoustics – Octave-band and fractional-octave-band filters – Part 1:
        Specifications", 2014.

    Example:
        >>> import torchmelinv as tmi
        >>> [round(center) for center in tmi.metrics.third_octave_bands(16000)][-3:]
        [3981, 5012, 6310]
    """
    check_number("sample_rate", sample_rate, LOWEST_RATE)
    centers = [1000 * 10 ** (band / 10) for band in range(_LOWEST_BAND, _HIGHEST_BAND + 1)]
    return [center for center in centers if center * 10**0.05 <= sample_rate / 2]


@named_options
@torch.no_grad()
@full_precision
def band_level_db(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the levels of third-octave bands relative to those of the reference in dB.

    Closer to 0 is better. A band that is more than 60 dB below the whole reference counts as 60 dB
    below it, in both waveforms. Limited to ±300.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Level of each band in dB, (…, bands), at the frequencies of `third_octave_bands`.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…, bands)

    References:
        P. Welch, "The use of fast Fourier transform for the estimation of power spectra", IEEE
        Trans. Audio and Electroacoustics 15(2), 1967.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.randn(16000)
        >>> tmi.metrics.band_level_db(2 * reference, reference, 16000).shape
        torch.Size([22])
    """
    waveform, reference, _ = mask_padding(waveform, reference, lengths, 1)
    centers = torch.tensor(third_octave_bands(sample_rate), device="cpu")
    centers = to_device(centers, centers.dtype, waveform.device)
    scale = peak(waveform, reference, dim=-1)
    energies = []
    for each in (waveform, reference):
        energy, frequencies = long_term_spectrum(each / scale, sample_rate)
        inside = (frequencies / centers[:, None]).log10().abs() <= 0.05
        energies.append((energy, energy @ inside.to(energy).mT))
    floor = _RANGE * energies[1][0].sum(-1, keepdim=True)
    return energy_ratio_db(*(torch.maximum(bands, floor) for _, bands in energies))


@named_options
@torch.no_grad()
@full_precision
def edge_energy_db(
    waveform: Tensor,
    reference: Tensor,
    convention: MelConvention | str | os.PathLike[str],
    *,
    lengths: Tensor | None = None,
) -> Tensor:
    """Compute the energy at both edges of the filters, relative to the reference, in dB.

    This is the share of a waveform's energy within 1 % of the filters' band around `f_min` and
    around `f_max`, divided by the share that the reference has there. Closer to 0 is better: an
    inversion that whistles at the upper edge or rumbles at the lower edge is above. Shares are at
    least −60 dB. White noise has −20 dB at an edge that is also an edge of its spectrum.

    Args:
        waveform: Waveform (…, n_samples) at the convention's sample rate.
        reference: Waveform of the same shape.
        convention: The convention of the mels.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Relative share of each item in dB at the lower and at the upper edge, (…, 2).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.
        ConventionError: If there is no such convention.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…, 2)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(16000)
        >>> whistle = torch.sin(torch.pi * 0.995 * torch.arange(16000))
        >>> bool(tmi.metrics.edge_energy_db(noise + whistle, noise, "audioldm_16k")[1] > 10)
        True
    """
    settings = as_convention(convention)
    waveform, reference, _ = mask_padding(waveform, reference, lengths, 1)
    shares = [_edge_shares(each / peak(each, dim=-1), settings) for each in (waveform, reference)]
    return energy_ratio_db(*(share.clamp(min=_LEAST_SHARE) for share in shares))


def _edge_shares(waveform: Tensor, convention: MelConvention) -> Tensor:
    """Return the shares of the energy at the lower and the upper edge of the filters, (…, 2)."""
    energy, frequencies = long_term_spectrum(waveform, convention.sample_rate)
    # Filters made for another sample rate are at other frequencies of the waveform.
    stretch = convention.sample_rate / convention.filterbank_sample_rate
    low, high = stretch * convention.f_min, stretch * convention.f_max
    distances = torch.stack([frequencies - low, frequencies - high]).abs()
    near = distances <= _EDGE * (high - low)
    return energy @ near.to(energy).mT / or_one(energy.sum(-1, keepdim=True))
