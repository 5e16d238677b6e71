"""Unsharp masks of log mels along bands and frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.conventions import MelConvention
from torchmelinv.restoration.gaussian import gaussian_filter
from torchmelinv.restoration.log_mel import bounded, held_log_mel
from torchmelinv.restoration.restoration import Restoration

__all__ = ["UnsharpMask", "unsharp_mask"]

_MOST = 100.0  # bands or frames: a kernel of 801 weights


def _check(amount: float, sigma_bands: float, sigma_frames: float) -> None:
    check_number("amount", amount, 0)
    check_number("sigma_bands", sigma_bands, 0, _MOST)
    check_number("sigma_frames", sigma_frames, 0, _MOST)


@named_options
@full_precision
def unsharp_mask(
    log_mel: Tensor,
    amount: float = 1.0,
    *,
    sigma_bands: float = 0.7,
    sigma_frames: float = 0.7,
    lengths: Tensor | None = None,
) -> Tensor:
    """Add what a Gaussian filter takes away: m + a (m − G m).

    Both ends are extended by their last value. No value is raised by more than 1.5 nepers, 13 dB.

    Args:
        log_mel: Natural logarithm of a magnitude mel, (…, n_mels, n_frames).
        amount: The factor a, at least 0; 0.5 is careful, 1 undoes most of a filter of that width.
        sigma_bands: Standard deviation of the Gaussian along bands, from 0 to 100.
        sigma_frames: Standard deviation of the Gaussian along frames, from 0 to 100.
        lengths: Frames of each item of a padded batch, (…); later frames are those of the last one.

    Returns:
        Log mel (…, n_mels, n_frames).

    Raises:
        InputError: If a shape, dtype or number does not fit.

    Shape:
        - log_mel: (…, n_mels, n_frames)
        - lengths: (…)
        - output: (…, n_mels, n_frames)

    Example:
        >>> import torch
        >>> from torchmelinv.restoration import unsharp_mask
        >>> mel = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
        >>> bool(unsharp_mask(mel)[0, 2] > 1)
        True
    """
    _check(amount, sigma_bands, sigma_frames)
    shape = log_mel.shape
    log_mel, _ = held_log_mel(log_mel, lengths)
    ones = log_mel.new_ones(len(log_mel))
    variances = ones * sigma_bands**2, ones * sigma_frames**2
    smoothed = gaussian_filter(log_mel, variances, (sigma_bands, sigma_frames))
    return bounded(torch.lerp(smoothed, log_mel, 1 + amount), log_mel).reshape(shape)


@dataclass(frozen=True)
class UnsharpMask(Restoration):
    """An unsharp mask; see `unsharp_mask`.

    Args:
        amount: Factor of what the Gaussian filter takes away, at least 0.
        sigma_bands: Standard deviation of the Gaussian along bands, from 0 to 100.
        sigma_frames: Standard deviation of the Gaussian along frames, from 0 to 100.

    Raises:
        InputError: If a value is no such number.

    Example:
        >>> import torchmelinv as tmi
        >>> mask = tmi.restoration.UnsharpMask(0.5, sigma_frames=0.0)
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=mask)
    """

    amount: float = 1.0
    sigma_bands: float = 0.7
    sigma_frames: float = 0.7

    def __post_init__(self) -> None:
        _check(self.amount, self.sigma_bands, self.sigma_frames)

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        return unsharp_mask(
            log_mel,
            self.amount,
            sigma_bands=self.sigma_bands,
            sigma_frames=self.sigma_frames,
            lengths=lengths,
        )
