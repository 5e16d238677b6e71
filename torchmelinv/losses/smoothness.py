"""Losses of predicted mels that are too smooth."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.losses.padded import weighted_mean
from torchmelinv.metrics.checks import check_pair
from torchmelinv.restoration.log_mel import decompressed, hold_last_frame, log_magnitude
from torchmelinv.restoration.modulation_spectrum import modulation_power
from torchmelinv.restoration.smoothing import excess_variances, noise_variances

__all__ = ["ModulationSpectrumLoss", "SmoothnessLoss"]

# Excess variance that recordings reach along either axis.
_LARGEST_OF_SOUNDS = 0.4
# In nepers²: fluctuations with an amplitude below 0.01 nepers count as none.
_LEAST_POWER = 1e-4
_FIRST = 2  # modulations below include the mean of the band


def _log_mels(mel: Tensor, convention: MelConvention, lengths: Any) -> tuple[Tensor, Tensor | None]:
    linear, counts = decompressed(mel, convention, lengths)
    return log_magnitude(hold_last_frame(linear, counts), convention.power), counts


def _zero_or_nan(log_mel: Tensor) -> Tensor:
    """Return 0 for each item, or NaN if it is not finite, which comparisons would hide: (items)."""
    return (log_mel - log_mel).sum((-2, -1))


class SmoothnessLoss(Module):
    """How much smoother mels are than those of sounds; needs no reference.

    The variances along bands and frames of the Gaussian filter that `restoration.smoothness`
    estimates, as far as they exceed those of speech and noise: the mean of their sum, in bands² and
    frames². At least 0, 0 for mels of recordings, about 0.7 for mels of FastSpeech 2.
    Unchanged when the mel is scaled.

    It sees how fast the mel fluctuates, not by how much: a mel of constants has the loss 0, and no
    gradient. Use it beside a distance to a reference and `ModulationSpectrumLoss`.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file.

    Raises:
        ConventionError: If there is no such convention.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> loss = tmi.losses.SmoothnessLoss("hifigan_22k")
        >>> smoothed = torch.nn.functional.avg_pool1d(mel, 3, 1, 1)
        >>> bool(loss(smoothed) > loss(mel))
        True
    """

    @named_options
    def __init__(self, convention: MelConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        self.convention = as_convention(convention)
        self._of_noise = noise_variances(self.convention)

    @full_precision
    def forward(self, mel: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            mel: Mel (…, n_mels, n_frames) in the convention's values.
            lengths: Frames of each item of a padded batch, (…).

        Returns:
            The loss, one number.

        Raises:
            InputError: If a shape or dtype does not fit.

        Shape:
            - mel: (…, n_mels, n_frames)
            - lengths: (…)
            - output: ()
        """
        log_mel, counts = _log_mels(mel, self.convention, lengths)
        bands, frames = excess_variances(log_mel, counts, self._of_noise)
        excess = (bands - _LARGEST_OF_SOUNDS).relu() + (frames - _LARGEST_OF_SOUNDS).relu()
        return weighted_mean(excess + _zero_or_nan(log_mel), counts)


class ModulationSpectrumLoss(Module):
    """Distance of the modulation spectra of predicted and real mels.

    The mean over bands and modulation frequencies of |ln √P − ln √Q|, in nepers, where P and Q are
    the powers of the fluctuations of log mels at that frequency. It does not matter when the
    fluctuations happen, so a mel that is late or has other words can have a small loss: use it
    beside a distance between mels. At least 0. Unchanged when either mel is scaled.

    Args:
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file.

    Raises:
        ConventionError: If there is no such convention.

    References:
        S. Takamichi, T. Toda, A. W. Black, G. Neubig, S. Sakti and S. Nakamura, "Postfilters to
        modify the modulation spectrum for statistical parametric speech synthesis", IEEE/ACM
        Transactions on Audio, Speech, and Language Processing 24(4), 2016.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050))
        >>> loss = tmi.losses.ModulationSpectrumLoss("hifigan_22k")
        >>> bool(loss(torch.nn.functional.avg_pool1d(mel, 3, 1, 1), mel) > 0.1)
        True
    """

    @named_options
    def __init__(self, convention: MelConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        self.convention = as_convention(convention)

    @full_precision
    def forward(
        self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            estimate: Predicted mel (…, n_mels, n_frames) in the convention's values.
            reference: Real mel of the same shape.
            lengths: Frames of each item of a padded batch, (…).

        Returns:
            The loss, one number.

        Raises:
            InputError: If shapes, dtypes or devices do not fit.

        Shape:
            - estimate: (…, n_mels, n_frames)
            - reference: (…, n_mels, n_frames)
            - lengths: (…)
            - output: ()
        """
        estimate, reference = check_pair(estimate, reference)
        logs = []
        for mel in (estimate, reference):
            log_mel, counts = _log_mels(mel, self.convention, lengths)
            power = modulation_power(log_mel, counts)[..., _FIRST:]
            logs.append(torch.log(power + _LEAST_POWER) / 2 + _zero_or_nan(log_mel)[:, None, None])
        return weighted_mean((logs[0] - logs[1]).abs().mean((-2, -1)), counts)
