"""Contrast of log mels about the mean of each band."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number, check_real
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.restoration.gaussian import gaussian_filter
from torchmelinv.restoration.log_mel import (
    bounded,
    held_log_mel,
    loud_frames,
    masked_mean,
)
from torchmelinv.restoration.restoration import Restoration

__all__ = ["Contrast", "contrast"]


def band_mean(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return the mean of each band over the frames that are no pauses, (items, n_mels, 1)."""
    return masked_mean(log_mel, loud_frames(log_mel, counts).expand_as(log_mel), -1)


def _check(gain: float, sigma_frames: float | None) -> None:
    check_number("gain", gain, 0)
    if sigma_frames is not None:
        check_number("sigma_frames", sigma_frames, 0, 1000)


@named_options
@full_precision
def contrast(
    log_mel: Tensor,
    gain: float = 1.2,
    *,
    mean: Tensor | None = None,
    sigma_frames: float | None = None,
    lengths: Tensor | None = None,
) -> Tensor:
    """Scale the deviation of log mels from the mean of each band: μ + g (m − μ).

    No value is raised by more than 1.5 nepers, 13 dB.

    Args:
        log_mel: Natural logarithm of a magnitude mel, (…, n_mels, n_frames).
        gain: The factor g, at least 0; 1.1 to 1.2 for mels that a network predicted.
        mean: Means μ of the bands, (n_mels,). Default: those of each item, without its pauses.
        sigma_frames: Take a running mean instead, by a Gaussian of this standard deviation in
            frames, up to 1000. Without it, the contrast of a quiet passage depends on a loud one.
        lengths: Frames of each item of a padded batch, (…); later frames are those of the last one.

    Returns:
        Log mel (…, n_mels, n_frames).

    Raises:
        InputError: If a shape, dtype or number does not fit.

    Shape:
        - log_mel: (…, n_mels, n_frames)
        - mean: (n_mels,)
        - lengths: (…)
        - output: (…, n_mels, n_frames)

    References:
        T. Toda and K. Tokuda, "A speech parameter generation algorithm considering global variance
        for HMM-based speech synthesis", IEICE Transactions E90-D(5), 2007.

    Example:
        >>> import torch
        >>> from torchmelinv.restoration import contrast
        >>> contrast(torch.tensor([[1.0, 2.0, 3.0]]), 1.5)
        tensor([[0.5000, 2.0000, 3.5000]])
    """
    _check(gain, sigma_frames)
    shape = log_mel.shape
    log_mel, counts = held_log_mel(log_mel, lengths)
    if sigma_frames is not None:
        if mean is not None:
            raise InputError(
                "mean and sigma_frames are two ways to find the mean; give one of them"
            )
        variance = log_mel.new_full((len(log_mel),), sigma_frames**2)
        center = gaussian_filter(log_mel, (0 * variance, variance), (0.0, sigma_frames))
    elif mean is None:
        center = band_mean(log_mel, counts)
    else:
        center = check_real(mean, "mean").to(log_mel)
        if center.shape != log_mel.shape[-2:-1]:
            raise InputError(
                f"mean has shape {tuple(center.shape)}; it must be ({log_mel.shape[-2]},)"
            )
        center = center[:, None]
    return bounded(torch.lerp(center, log_mel, gain), log_mel).reshape(shape)


@dataclass(frozen=True)
class Contrast(Restoration):
    """Contrast about the mean of each band; see `contrast`.

    Args:
        gain: Factor of the deviation from the mean, at least 0.
        sigma_frames: Standard deviation of the Gaussian of a running mean, in frames. Default: the
            mean of the item.

    Raises:
        InputError: If a value is no such number.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=tmi.restoration.Contrast(1.1))
    """

    gain: float = 1.2
    sigma_frames: float | None = None

    def __post_init__(self) -> None:
        _check(self.gain, self.sigma_frames)

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        return contrast(log_mel, self.gain, sigma_frames=self.sigma_frames, lengths=lengths)
