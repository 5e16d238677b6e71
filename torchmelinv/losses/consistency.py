"""The loss of an inconsistent spectrum."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_features
from torchmelinv.conventions import STFTConvention
from torchmelinv.losses.padded import weighted_mean
from torchmelinv.metrics.checks import check_pair
from torchmelinv.metrics.consistency import spectrum_inconsistency
from torchmelinv.transforms.stft import STFT

__all__ = ["ConsistencyLoss"]


class ConsistencyLoss(Module):
    """Inconsistency ‖c − STFT(ISTFT(c))‖ / ‖c‖ of a predicted spectrum c.

    0 for the spectrum of a signal and in silence, about 1 at most. Unchanged when c is scaled. It
    is the residual that Griffin-Lim lowers, relative to the spectrum. DC removal and pre-emphasis
    of the convention are left out. Cost: one inverse STFT and one STFT.

    Args:
        convention: The convention of the STFT: an `STFTConvention`, a `MelConvention`, a preset's
            name, or the path of a JSON file.

    Raises:
        ConventionError: If there is no such convention.

    References:
        J. Le Roux, H. Kameoka, N. Ono and S. Sagayama, "Fast signal reconstruction from magnitude
        STFT spectrogram based on spectrogram consistency", DAFx 2010.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> loss = tmi.losses.ConsistencyLoss("hifigan_22k")
        >>> spectrum = tmi.STFT("hifigan_22k")(torch.randn(22016))
        >>> bool(loss(spectrum) < 1e-5)
        True
        >>> bool(loss(spectrum.abs(), torch.zeros(513, 86)) < 1e-5)
        False
    """

    @named_options
    def __init__(self, convention: STFTConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        self.stft = STFT(convention)

    @full_precision
    def forward(
        self,
        spectrum: Tensor,
        phase: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        length: int | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            spectrum: Complex spectrum (…, n_freqs, n_frames), or with `phase` its magnitude.
            phase: Phase in radians (…, n_freqs, n_frames), if `spectrum` is a magnitude.
            lengths: Frames of each item of a padded batch, (…).
            length: Samples of the signal, if they are more than ``convention.n_samples(n_frames)``.

        Returns:
            The loss, one number.

        Raises:
            InputError: If shapes, dtypes or devices do not fit.

        Shape:
            - spectrum: (…, n_freqs, n_frames)
            - phase: (…, n_freqs, n_frames)
            - lengths: (…)
            - output: ()
        """
        if phase is not None:
            n_freqs = self.stft.convention.n_freqs
            magnitude = check_features(spectrum, "magnitude", n_freqs)
            phase = check_features(phase, "phase", n_freqs)
            magnitude, phase = check_pair(magnitude, phase, " (magnitude and phase)")
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        values, counts = spectrum_inconsistency(spectrum, self.stft, lengths, length)
        return weighted_mean(values, counts)
