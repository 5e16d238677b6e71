"""Fine structure of voiced sound above 2 kHz: pitch pulses, and noise between the harmonics.

The pitch is that of the reference: in frames of 48 ms every 10 ms, the lag with the largest
normalized autocorrelation, from 60 to 400 Hz. A frame is voiced where the autocorrelation is at
least 0.5 and the energy at most 30 dB below that of the loudest frame. The bands are analytic
signals, filtered by a windowed sinc of 8 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_number
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import or_one, peak
from torchmelinv.metrics.long_term_spectrum import LOWEST_RATE

__all__ = ["harmonics_to_noise_db", "pulse_depth"]

BANDS = ((2000.0, 4000.0), (4000.0, 7500.0))  # Hz
_LOWEST_PITCH, _HIGHEST_PITCH = 60.0, 400.0  # Hz
_FRAME_SECONDS, _STEP_SECONDS, _FILTER_SECONDS = 0.048, 0.01, 0.008
_LEAST_CORRELATION, _LEAST_ENERGY = 0.5, 1e-3
_OCTAVE_COST = 0.05  # of an octave below the highest pitch, so that a period is not taken twice


class Pitch(NamedTuple):
    """The pitch of each frame."""

    lags: Tensor  # (…, frames) period in samples
    voiced: Tensor  # (…, frames)


def _frames(signal: Tensor, sample_rate: float) -> Tensor:
    """Return the frames of a signal with silence after its end, (…, frames, frame_length)."""
    frame_length = round(_FRAME_SECONDS * sample_rate)
    return signal.unfold(-1, frame_length, round(_STEP_SECONDS * sample_rate))


def _hann(length: int, like: Tensor) -> Tensor:
    return torch.hann_window(length, dtype=like.dtype, device=like.device)


def normalized_autocorrelation(frames: Tensor, n_lags: int) -> tuple[Tensor, Tensor]:
    """Return the autocorrelation of windowed frames, 1 at lag 0, and their energies.

    That of the Hann window is divided out: (…, frame_length) -> (…, n_lags), (…).
    """
    length = frames.shape[-1]
    window = _hann(length, frames)
    energy = (frames * window).square().sum(-1)

    def correlate(signal: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(signal, 2 * length).abs().square())[..., :n_lags]

    correlation = correlate(frames * window) / or_one(energy[..., None])
    return correlation * (window.square().sum() / correlate(window)), energy


def find_pitch(reference: Tensor, sample_rate: float) -> Pitch:
    """Return the period and the voicing of each frame of a waveform."""
    frames = _frames(reference, sample_rate)
    shortest, longest = int(sample_rate / _HIGHEST_PITCH), int(sample_rate / _LOWEST_PITCH)
    correlation, energy = normalized_autocorrelation(frames, longest)
    lags = torch.arange(shortest, longest, device=reference.device)
    cost = _OCTAVE_COST * (lags.to(reference.dtype) / shortest).log2()
    best = (correlation[..., shortest:] - cost).argmax(-1)
    periodic = correlation[..., shortest:].gather(-1, best[..., None])[..., 0]
    loud = energy > _LEAST_ENERGY * energy.amax(-1, keepdim=True)
    return Pitch(best + shortest, loud & (periodic >= _LEAST_CORRELATION))


def _band(waveform: Tensor, sample_rate: float, low: float, high: float) -> Tensor:
    """Return the analytic signal of a band, 0 if it is above half of the sample rate."""
    if high > sample_rate / 2:
        return torch.zeros_like(waveform, dtype=waveform.dtype.to_complex())
    half, n_samples = round(_FILTER_SECONDS * sample_rate / 2), waveform.shape[-1]
    n = torch.arange(-half, half + 1, dtype=torch.float64)
    envelope = (n * ((high - low) / sample_rate)).sinc() * torch.hann_window(2 * half + 1, False)
    kernel = torch.polar(envelope / envelope.sum(), n * (math.pi * (low + high) / sample_rate))
    kernel = to_device(kernel, waveform.dtype.to_complex(), waveform.device)
    size = 1 << (n_samples + 2 * half).bit_length()
    product = torch.fft.fft(waveform, size) * torch.fft.fft(kernel, size)
    return torch.fft.ifft(product)[..., half : half + n_samples]


def _pulse_depth(band: Tensor, pitch: Pitch, sample_rate: float) -> Tensor:
    """Return the modulation of a band's envelope at the pitch in each frame, from 0 to 1."""
    frames = _frames(band.abs(), sample_rate)
    weighted = frames * _hann(frames.shape[-1], frames)
    time = torch.arange(frames.shape[-1], device=band.device, dtype=frames.dtype)
    angle = 2 * torch.pi * time / pitch.lags[..., None]
    modulation = torch.polar(weighted, -angle).sum(-1).abs()
    return modulation / or_one(weighted.sum(-1))


def _harmonics_to_noise(band: Tensor, pitch: Pitch, sample_rate: float) -> Tensor:
    """Return r / (1 − r) of each frame in dB, r being the correlation one period apart.

    The absolute value of the complex correlation does not depend on the fraction of a sample by
    which a lag differs from the period.
    """
    frames = _frames(band, sample_rate)
    n = frames.shape[-1] - round(sample_rate / _LOWEST_PITCH)
    index = torch.arange(n, device=band.device)
    start = (frames.shape[-1] - n - pitch.lags[..., None]) // 2 + index
    first, later = frames.gather(-1, start), frames.gather(-1, start + pitch.lags[..., None])
    products = (first.conj() * later).sum(-1).abs()
    norms = torch.linalg.vector_norm(first, dim=-1) * torch.linalg.vector_norm(later, dim=-1)
    correlation = (products / or_one(norms)).clamp(0.01, 0.99)
    return 10 * (correlation / (1 - correlation)).log10()


def _mean_difference(
    measure: Callable[[Tensor, Pitch, float], Tensor],
    waveform: Tensor,
    reference: Tensor,
    sample_rate: float,
    lengths: Tensor | None,
) -> Tensor:
    """Return the mean of a measure over the voiced frames, minus the reference's, (…, 2).

    The measure is `_pulse_depth` or `_harmonics_to_noise`; the last dimension has the bands. 0
    without voiced frames.
    """
    check_number("sample_rate", sample_rate, LOWEST_RATE)
    waveforms = mask_padding(waveform, reference, lengths, 1)[:2]
    after = round((_FRAME_SECONDS + _FILTER_SECONDS) * sample_rate)
    scaled = [pad(each / peak(each, dim=-1), (0, after)) for each in waveforms]
    pitch = find_pitch(scaled[1], sample_rate)
    count = or_one(pitch.voiced.sum(-1))
    means = []
    for each in scaled:
        bands = [measure(_band(each, sample_rate, *band), pitch, sample_rate) for band in BANDS]
        means.append(
            torch.stack([torch.where(pitch.voiced, b, 0).sum(-1) / count for b in bands], -1)
        )
    return means[0] - means[1]


@named_options
@torch.no_grad()
@full_precision
def pulse_depth(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the depth of pitch pulses above 2 kHz, minus that of the reference.

    In voiced frames, the depth is the Fourier coefficient of a band's envelope at the pitch,
    relative to its mean: 0 for a constant envelope, 1 for sharp pulses. Closer to 0 is better;
    flattened pulses, which sound phasy, are below. Speech has about 0.2.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean difference over the voiced frames from 2 to 4 and from 4 to 7.5 kHz, (…, 2); 0 without
        voiced frames, and in a band above half of the sample rate.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…, 2)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> pulses = torch.zeros(16000)
        >>> pulses[::160] = 1
        >>> tmi.metrics.pulse_depth(torch.randn(16000), pulses, 16000) < -0.5
        tensor([True, True])
    """
    return _mean_difference(_pulse_depth, waveform, reference, sample_rate, lengths)


@named_options
@torch.no_grad()
@full_precision
def harmonics_to_noise_db(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the harmonics-to-noise ratio above 2 kHz in dB, minus that of the reference.

    In voiced frames, the ratio is r / (1 − r) for the correlation r of a band with itself one
    period of the reference's pitch later, from −20 to 20 dB. Closer to 0 is better; noise
    between the harmonics is below. Speech has about −2 and −4 dB.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean difference over the voiced frames in dB from 2 to 4 and from 4 to 7.5 kHz, (…, 2); 0
        without voiced frames, and in a band above half of the sample rate.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…, 2)

    References:
        P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
        harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> pulses = torch.zeros(16000)
        >>> pulses[::160] = 1
        >>> tmi.metrics.harmonics_to_noise_db(torch.randn(16000), pulses, 16000) < -15
        tensor([True, True])
    """
    return _mean_difference(_harmonics_to_noise, waveform, reference, sample_rate, lengths)
