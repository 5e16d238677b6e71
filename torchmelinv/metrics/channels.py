"""What the channels of a stereo waveform have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.errors import InputError
from torchmelinv.metrics.checks import mask_padding
from torchmelinv.metrics.distance import correlation, energy_ratio_db, peak

__all__ = ["channel_correlation", "downmix_level_db"]


def _check_stereo(
    waveform: Tensor, reference: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return both with zeros in the padding, and the samples of each item."""
    waveform, reference, counts = mask_padding(waveform, reference, lengths, 2)
    if waveform.shape[-2] != 2:
        raise InputError(
            f"estimate and reference have shape {tuple(waveform.shape)}; "
            "they must be stereo, (…, 2, n_samples)"
        )
    return waveform, reference, counts


@named_options
@torch.no_grad()
@full_precision
def channel_correlation(
    waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the correlation of the two channels, minus that of the reference's channels.

    The correlation is Pearson's over all samples, 0 where a channel does not vary. Closer to 0 is
    better. A negative result means that the estimate lost what its channels share: its image is
    wider, and less of it remains in mono.

    Args:
        waveform: Waveform (…, 2, n_samples).
        reference: Waveform of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Difference of the correlations of each item, from −2 to 2, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or there are not two channels.

    Shape:
        - waveform: (…, 2, n_samples)
        - reference: (…, 2, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mono = torch.randn(22050).expand(2, -1)
        >>> bool(tmi.metrics.channel_correlation(torch.randn(2, 22050), mono) < -0.9)
        True
    """
    waveform, reference, counts = _check_stereo(waveform, reference, lengths)
    inside = torch.arange(waveform.shape[-1], device=waveform.device) < counts[..., None, None]
    results = []
    for each in (waveform, reference):
        scaled = each / peak(each, dim=-1)
        mean = scaled.sum(-1, keepdim=True) / counts[..., None, None]
        results.append(correlation(*torch.where(inside, scaled - mean, 0).unbind(-2)))
    return results[0] - results[1]


@named_options
@torch.no_grad()
@full_precision
def downmix_level_db(
    waveform: Tensor, reference: Tensor, *, lengths: Tensor | None = None
) -> Tensor:
    """Compute the level of the mean of both channels relative to that of the reference in dB.

    Closer to 0 is better; channels that cancel in mono are below. Limited to ±300.

    Args:
        waveform: Waveform (…, 2, n_samples).
        reference: Waveform of the same shape.
        lengths: Samples of each item of a padded batch, (…).

    Returns:
        Level of each item in dB, (…).

    Raises:
        InputError: If shapes, dtypes or devices do not fit, or there are not two channels.

    Shape:
        - waveform: (…, 2, n_samples)
        - reference: (…, 2, n_samples)
        - lengths: (…)
        - output: (…)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> reference = torch.randn(22050).expand(2, -1)
        >>> estimate = reference * torch.tensor([[1.0], [0.0]])
        >>> tmi.metrics.downmix_level_db(estimate, reference).round(decimals=2)
        tensor(-6.0200)
    """
    waveform, reference, _ = _check_stereo(waveform, reference, lengths)
    scale = peak(waveform, reference)
    mixes = ((each / scale).mean(-2) for each in (waveform, reference))
    return energy_ratio_db(*(mix.square().sum(-1) for mix in mixes))
