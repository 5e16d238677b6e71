"""The scale-invariant signal-to-distortion ratio of waveforms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import norm, or_one, peak, ratio_db

__all__ = ["si_sdr_db"]


@named_options
@full_precision
def si_sdr_db(waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> Tensor:
    """Compute the scale-invariant signal-to-distortion ratio (SI-SDR) in dB.

    This is 10 log10(‖αx‖² / ‖αx − x̂‖²) with α = ⟨x̂, x⟩ / ‖x‖²; means are not subtracted. Higher
    is better. Unchanged when either is scaled. Differentiable. The metric compares samples: a
    waveform with another phase has a low value however close it sounds.

    Args:
        waveform: Waveform x̂ (…, n_samples).
        reference: Waveform x of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        SI-SDR of each item in dB, (…), from −300 to 300. It is not defined in silence: −300 where
        one of the two is silent, and 300 where both are.

    Raises:
        InputError: If shapes, dtypes or devices do not fit.

    Shape:
        - waveform: (…, n_samples)
        - reference: (…, n_samples)
        - lengths: (…)
        - output: (…)

    References:
        J. Le Roux, S. Wisdom, H. Erdogan and J. R. Hershey, "SDR – half-baked or well done?",
        ICASSP 2019.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.tensor([1.0, 1.0, -1.0, -1.0])
        >>> orthogonal_error = torch.tensor([0.1, -0.1, 0.1, -0.1])
        >>> tmi.metrics.si_sdr_db(2 * (reference + orthogonal_error), reference).round()
        tensor(20.)
    """
    waveform, reference, _ = mask_padding(waveform, reference, lengths, 1)
    waveform, reference = (each / peak(each, dim=-1) for each in (waveform, reference))
    energy = reference.square().sum(-1, keepdim=True)
    alpha = (waveform * reference).sum(-1, keepdim=True) / or_one(energy)
    target = alpha * reference
    error, size = norm(waveform - target, -1), norm(target, -1)
    both_silent = ~(waveform.any(-1) | reference.any(-1))
    ratio = torch.where(size == 0, math.inf, error / or_one(size))
    return -ratio_db(torch.where(both_silent, 0, ratio))
