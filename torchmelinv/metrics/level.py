"""The level of a waveform, and how far its peak rises above it."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import energy_ratio_db, peak

__all__ = ["crest_factor_db", "level_db"]


@named_options
@torch.no_grad()
@full_precision
def level_db(waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """Compute the level of a waveform relative to its reference in dB.

    The level is the root mean square. Closer to 0 is better. Limited to ±300, so that silence has a
    value.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Level of each item in dB, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.randn(22050)
        >>> tmi.metrics.level_db(2 * reference, reference).round(decimals=2)
        tensor(6.0200)
    """
    waveform, reference, _ = mask_padding(waveform, reference, lengths, 1)
    scale = peak(waveform, reference, dim=-1)
    return energy_ratio_db(*((each / scale).square().sum(-1) for each in (waveform, reference)))


@named_options
@torch.no_grad()
@full_precision
def crest_factor_db(
    waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the difference of crest factors in dB, estimate minus reference.

    The crest factor is the peak divided by the root mean square; that of silence is 0 dB.
    Closer to 0 is better. A positive result means that the estimate gathers its energy in pulses, a
    negative result that it spreads the energy of pulses. The levels do not matter.

    Args:
        waveform: Waveform (…, n_samples).
        reference: Waveform of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Difference of each item in dB, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> square = torch.tensor([1.0, -1.0, 1.0, -1.0])
        >>> pulse = torch.tensor([0.0, 2.0, 0.0, 0.0])
        >>> tmi.metrics.crest_factor_db(pulse, square).round(decimals=2)
        tensor(6.0200)
    """
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 1)
    crest = []
    for each in (waveform, reference):
        mean_square = (each / peak(each, dim=-1)).square().sum(-1) / counts
        crest.append(-10 * torch.where(mean_square == 0, 1, mean_square).log10())
    return crest[0] - crest[1]
