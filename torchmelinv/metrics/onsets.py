"""Onsets of a reference: how steep they are in an estimate, and what sounds before them.

The envelope is the energy of the differenced waveform, which stresses high frequencies, in steps of
1 ms. An onset of the reference is where this energy rises most within ±25 ms from 4 ms to the next:
by 10 dB or more, to at least 30 dB below its loudest 4 ms. The first 20 ms have no onset.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import or_one, peak
from torchmelinv.metrics.long_term_spectrum import LOWEST_RATE

__all__ = ["onset_slope_db", "pre_echo_db"]

# In milliseconds, which are steps of the envelope.
_RISE = 4
_BEFORE = 20
_APART = 25
_TOLERANCE = 10  # between the onsets of the reference and of the estimate
_LEAST_RISE_DB, _LEAST_LEVEL_DB = 10, -30
_RANGE = 1e-6  # of the loudest 4 ms of the reference: quieter steps count as this


def _step_energies(waveform: Tensor, sample_rate: float) -> Tensor:
    """Return the energy of each millisecond, between silences of `_BEFORE` ms, (…, steps)."""
    step = round(sample_rate / 1000)
    edge = _BEFORE * step
    n_samples = waveform.shape[-1]
    padded = pad(waveform, (edge + 1, edge + -n_samples % step)).diff()
    return padded.square().unflatten(-1, (-1, step)).sum(-1)


def _rises_db(energies: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rise of each step in dB, and the level after it; 0 in the first steps."""
    levels = 10 * (energies.unfold(-1, _RISE, 1).sum(-1) + floor).log10()
    return pad(levels[..., _RISE:] - levels[..., :-_RISE], (_RISE, 0)), levels


def _onsets(
    waveform: Tensor, reference: Tensor, sample_rate: float, lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the energies of both, (…, steps), where onsets are, (…, steps − 3), and the floor."""
    check_number("sample_rate", sample_rate, LOWEST_RATE)
    waveform, reference, _ = mask_padding(waveform, reference, lengths, 1)
    scale = peak(waveform, reference, dim=-1)
    energies = [_step_energies(each / scale, sample_rate) for each in (waveform, reference)]
    loudest = energies[1].unfold(-1, _RISE, 1).sum(-1).amax(-1, keepdim=True)
    floor = or_one(_RANGE * loudest)
    rises, levels = _rises_db(energies[1], floor)
    first = rises >= _pool(rises, _APART)
    loud = levels >= 10 * or_one(loudest).log10() + _LEAST_LEVEL_DB
    found = first & loud & (rises >= _LEAST_RISE_DB)
    found[..., : 2 * _BEFORE] = False  # the beginning of a file is no onset
    return energies[0], energies[1], found, floor


def _pool(values: Tensor, reach: int) -> Tensor:
    """Return the largest of the values within ±reach, of the same shape."""
    rows = max_pool1d(values.reshape(-1, 1, values.shape[-1]), 2 * reach + 1, 1, reach)
    return rows.reshape(values.shape)


def _mean_at(onsets: Tensor, values: Tensor) -> Tensor:
    """Return the mean of the values at the onsets, 0 if there are none."""
    return torch.where(onsets, values, 0).sum(-1) / or_one(onsets.sum(-1))


@named_options
@torch.no_grad()
@full_precision
def onset_slope_db(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute how much steeper onsets are than in the reference, in dB within 4 ms.

    This is the rise of the energy from 4 ms to the next, the steepest within ±10 ms of an onset of
    the reference, minus the rise in the reference. Closer to 0 is better; softened onsets are
    below. Speech has about 17 dB.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean difference over the onsets of each item in dB, (…); 0 without onsets.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise, time = torch.randn(16000), torch.arange(16000) / 16000
        >>> attack, soft = noise * (time > 0.5), noise * ((time - 0.5) / 0.05).sigmoid()
        >>> bool(tmi.metrics.onset_slope_db(soft, attack, 16000) < -10)
        True
    """
    energies, reference_energies, onsets, floor = _onsets(waveform, reference, sample_rate, lengths)
    rises = _pool(_rises_db(energies, floor)[0], _TOLERANCE)
    return _mean_at(onsets, rises - _rises_db(reference_energies, floor)[0])


@named_options
@torch.no_grad()
@full_precision
def pre_echo_db(
    waveform: Tensor, reference: Tensor, sample_rate: float, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the energy from 20 to 4 ms before onsets, relative to the reference, in dB.

    Lower is better, 0 at equality. The energies are at least 60 dB below that of the loudest part
    of the reference.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        sample_rate: Sample rate in Hz, at least 1000.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Mean over the onsets of each item in dB, (…); 0 without onsets.

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or the sample rate is below 1000 Hz.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> noise, time = torch.randn(16000), torch.arange(16000) / 16000
        >>> attack, early = noise * (time > 0.5), noise * (time > 0.49)
        >>> bool(tmi.metrics.pre_echo_db(early, attack, 16000) > 20)
        True
    """
    energies, reference_energies, onsets, floor = _onsets(waveform, reference, sample_rate, lengths)
    n_steps = _BEFORE - _RISE
    before = [
        10 * (pad(each, (_BEFORE, 0)).unfold(-1, n_steps, 1).sum(-1) + 4 * floor).log10()
        for each in (energies, reference_energies)
    ]
    n_onsets = onsets.shape[-1]
    return _mean_at(onsets, before[0][..., :n_onsets] - before[1][..., :n_onsets])
