"""Modulation by the frames of an STFT: a buzz at the hop, a flutter at the period of a frame."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_whole
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import correlation, or_one, peak

__all__ = ["hop_fluctuation_db", "hop_modulation_db", "periodicity"]

_SECTIONS = 16  # of a hop
_RANGE = 1e-6  # of the loudest hop: quieter hops count as this


def _hops(waveform: Tensor, counts: Tensor, hop_length: int) -> Tensor:
    """Return the squares of all complete hops, (…, hops, hop_length); others are 0."""
    squares = (waveform / peak(waveform, dim=-1)).square()
    hops = pad(squares, (0, -squares.shape[-1] % hop_length)).unflatten(-1, (-1, hop_length))
    complete = torch.arange(hops.shape[-2], device=hops.device) < (counts // hop_length)[..., None]
    return torch.where(complete[..., None], hops, 0)


@named_options
@torch.no_grad()
@full_precision
def hop_modulation_db(
    waveform: Tensor, reference: Tensor, hop_length: int, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the modulation of the energy with the period of a hop in dB, minus the reference's.

    Each hop is divided into 16 sections (fewer if it has fewer samples) and by its energy. The
    modulation is the largest mean energy of a section over the smallest, at most 60 dB. Lower is
    better, 0 at equality. An inversion with more modulation buzzes at the frame rate.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        hop_length: Samples of a hop, at least 1.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Difference of each item in dB, (…); 0 if it has no complete hop.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or `hop_length` is below 1.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(22016)
        >>> buzz = noise * (1 + 0.5 * torch.sin(2 * torch.pi * torch.arange(22016) / 256))
        >>> bool(tmi.metrics.hop_modulation_db(buzz, noise, 256) > 6)
        True
    """
    check_whole("hop_length", hop_length, 1)
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    modulations = []
    for each in (waveform, reference):
        hops = _hops(each, counts, hop_length)
        profile = (hops / or_one(hops.sum(-1, keepdim=True))).sum(-2)
        parts = profile.tensor_split(min(_SECTIONS, hop_length), -1)
        energies = torch.stack([part.mean(-1) for part in parts], -1)
        modulations.append(_range_db(energies))
    return modulations[0] - modulations[1]


def _range_db(energies: Tensor) -> Tensor:
    """Return the largest of the last dimension over the smallest in dB, at most 60 dB."""
    largest = energies.amax(-1)
    smallest = torch.maximum(energies.amin(-1), _RANGE * largest)
    return 10 * torch.where(largest == 0, 1, largest / smallest).log10()


@named_options
@torch.no_grad()
@full_precision
def hop_fluctuation_db(
    waveform: Tensor, reference: Tensor, hop_length: int, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the fluctuation of level from hop to hop in dB, minus the reference's.

    The fluctuation is the root mean square of the second differences of the hops' levels, over √6,
    so that independent levels have their standard deviation and a slow swell has 0. Hops more than
    60 dB below the loudest count as 60 dB below it. Lower is better, 0 at equality.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        hop_length: Samples of a hop, at least 1.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Difference of each item in dB, (…); 0 if it has fewer than three complete hops.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or `hop_length` is below 1.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(22016)
        >>> gain = torch.tensor([0.5, 2.0]).repeat_interleave(256).repeat(43)
        >>> bool(tmi.metrics.hop_fluctuation_db(gain * noise, noise, 256) > 6)
        True
    """
    check_whole("hop_length", hop_length, 1)
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    results = []
    for each in (waveform, reference):
        energies = _hops(each, counts, hop_length).sum(-1)
        floor = _RANGE * energies.amax(-1, keepdim=True)
        energies = torch.maximum(energies, floor)
        levels = 10 * torch.where(energies == 0, 1, energies).log10()
        seconds = pad(levels, (0, 2)).diff(n=2)
        index = torch.arange(seconds.shape[-1], device=seconds.device)
        inside = index < (counts // hop_length - 2)[..., None]
        total = torch.where(inside, seconds, 0).square().sum(-1)
        results.append((total / (6 * or_one(inside.sum(-1)))).sqrt())
    return results[0] - results[1]


@named_options
@torch.no_grad()
@full_precision
def periodicity(
    waveform: Tensor, reference: Tensor, period: int, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the correlation of a waveform with itself one period later, minus the reference's.

    Both waveforms are differenced first, so that low frequencies, which change little within any
    period, count less. Lower is better, 0 at equality. With the `n_fft` of an STFT as the period, a
    positive value is a flutter: the frames of the inversion repeat.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        period: Period in samples, at least 1.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Difference of the correlations of each item, from −2 to 2, (…); 0 if it has no such period.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or `period` is below 1.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise = torch.randn(10240)
        >>> flutter = noise[:1024].repeat(10)
        >>> bool(tmi.metrics.periodicity(flutter, noise, 1024) > 0.9)
        True
    """
    check_whole("period", period, 1)
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    results = []
    for each in (waveform, reference):
        signal = pad((each / peak(each, dim=-1)).diff(), (0, period))
        index = torch.arange(signal.shape[-1] - period, device=signal.device)
        inside = index < (counts - 1 - period)[..., None]
        first, later = (
            torch.where(inside, part, 0)
            for part in (signal[..., : len(index)], signal[..., period:])
        )
        results.append(correlation(first, later))
    return results[0] - results[1]
