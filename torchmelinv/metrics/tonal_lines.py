"""Tones that a waveform has and its reference has not, such as a whistle."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import or_one, peak
from torchmelinv.metrics.long_term_spectrum import LOWEST_RATE, frame_powers, near_power_of_two

__all__ = ["tonal_line_db"]

_FRAME_SECONDS = 0.04
_LINE_SECONDS = 0.25  # the median over this time removes what lasts less than half of it
_NEIGHBORS = 20  # bins on each side of a line, about 0.5 kHz
_RANGE = 1e-8  # of the largest power: weaker lines do not count
# Lines of the reference may lie this far away, in bins and in steps of time.
_TOLERANCE = (2, 1)


def _median(values: Tensor) -> Tensor:
    """Return the lower median of the last dimension, deterministic on accelerators, too."""
    return values.sort(-1).values[..., (values.shape[-1] - 1) // 2]


def _prominence_db(waveform: Tensor, sample_rate: float) -> Tensor:
    """Return how far each bin rises above the median of its neighbors in dB, (…, bins, steps)."""
    n_fft = near_power_of_two(_FRAME_SECONDS * sample_rate)
    n_fft, hop_length = max(n_fft, 4 * _NEIGHBORS), max(n_fft, 4 * _NEIGHBORS) // 4
    n_frames = max(2, round(_LINE_SECONDS * sample_rate / hop_length))
    powers = pad(frame_powers(waveform, n_fft, hop_length), (0, 0, n_frames, n_frames))
    steps = powers.unfold(-2, n_frames, n_frames // 2)
    power = _median(steps)  # (…, steps, bins)
    floor = or_one(_RANGE * power.amax((-2, -1), keepdim=True))
    # A step of the spectrum is no line: both sides must be lower, or the only side there is.
    sides = pad(power, (_NEIGHBORS, _NEIGHBORS), value=-1).unfold(-1, _NEIGHBORS, 1)
    medians = torch.where(sides.amin(-1) < 0, 0, _median(sides))
    neighbors = torch.maximum(medians[..., : -_NEIGHBORS - 1], medians[..., _NEIGHBORS + 1 :])
    return 10 * ((power + floor) / (neighbors + floor)).log10().clamp(min=0).mT


@named_options
@torch.no_grad()
@full_precision
def tonal_line_db(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute how far a tonal line rises that the reference does not have, in dB.

    The spectrogram of 40 ms frames is reduced to its median over 0.25 s. A bin's prominence is its
    ratio to the median of the 20 bins (about 0.5 kHz) below it, or above it if that is larger. The
    result is the largest excess over the prominence in the reference, over all frequencies and
    times; tones of the reference, such as harmonics, do not count. Lower is better, 0 at equality.
    Two independent noises have 3 to 8 dB, more the longer they are and the higher their rate; a
    whistle has 10 dB and more.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Excess of each item in dB, at least 0, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(16000)
        >>> whistle = torch.sin(torch.pi * 0.7 * torch.arange(16000))
        >>> bool(tmi.metrics.tonal_line_db(noise + whistle, noise, 16000) > 15)
        True
    """
    check_number("sample_rate", sample_rate, LOWEST_RATE)
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    prominence, expected = (
        _prominence_db(each / peak(each, dim=-1), sample_rate) for each in (waveform, reference)
    )
    kernel = tuple(2 * each + 1 for each in _TOLERANCE)
    pooled = max_pool2d(expected.reshape(-1, 1, *expected.shape[-2:]), kernel, 1, _TOLERANCE)
    excess = prominence - pooled.reshape(expected.shape)
    return excess.amax((-2, -1)).clamp(min=0).reshape(counts.shape)
