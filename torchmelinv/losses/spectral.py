"""Losses between the spectra of two waveforms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv._utils.module import Module
from torchmelinv._utils.options import named_options
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.validation import check_number
from torchmelinv.conventions import STFTConvention
from torchmelinv.conventions.presets import as_stft_convention
from torchmelinv.errors import InputError
from torchmelinv.losses.padded import P, check_p, spectra, weighted_mean
from torchmelinv.metrics.distance import (
    bounded_relative_error,
    mean_distance,
    mean_log_distance,
    mean_of_valid,
)
from torchmelinv.transforms.spectrum import power_spectrum, safe_abs
from torchmelinv.transforms.stft import STFT

__all__ = ["ComplexLoss", "MultiResolutionSTFTLoss", "SpectralConvergenceLoss"]

# (n_fft, hop_length, win_length) of Parallel WaveGAN
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))


class _WaveformLoss(Module):
    """Base class of the losses of this file, which differ in `_loss`."""

    @full_precision
    def forward(
        self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            estimate: Waveform x̂ (…, n_samples).
            reference: Waveform x of the same shape.
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            The loss, one number.

        Raises:
            InputError: If shapes, dtypes or devices do not fit.

        Shape:
            - estimate: (…, n_samples)
            - reference: (…, n_samples)
            - lengths: (…)
            - output: ()
        """
        return self._loss(estimate, reference, lengths)

    def _loss(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the loss, one number."""
        raise NotImplementedError


class SpectralConvergenceLoss(_WaveformLoss):
    """Spectral convergence ‖ |STFT(x̂)| − |STFT(x)| ‖ / ‖ |STFT(x)| ‖ of two waveforms.

    The norms are Frobenius norms of each item; implementations with one ratio over the whole batch
    differ. From 0, at equality, to 101. Unchanged when both are scaled. The denominator is
    max(‖ref‖, ‖est‖/100): where only the reference is silent, the loss is 100 and has no gradient,
    and where both are silent it is 0. Cost: two STFTs.

    Args:
        convention: The convention of the STFT: an `STFTConvention`, a `MelConvention`, a preset's
            name, or the path of a JSON file.

    Raises:
        ConventionError: If there is no such convention.

    References:
        S. Ö. Arık, H. Jun and G. Diamos, "Fast spectrogram inversion using multi-head convolutional
        neural networks", IEEE Signal Processing Letters 26(1), 2019.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> loss = tmi.losses.SpectralConvergenceLoss("hifigan_22k")
        >>> waveform = torch.randn(2, 11025)
        >>> loss(1.5 * waveform, waveform)
        tensor(0.5000)
    """

    @named_options
    def __init__(self, convention: STFTConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        self.stft = STFT(convention)

    def _loss(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        spectrum, reference_spectrum, counts = spectra(self.stft, estimate, reference, lengths)
        error = bounded_relative_error(safe_abs(spectrum), safe_abs(reference_spectrum))
        return weighted_mean(error, counts)


def _resolution(resolution: Any) -> STFTConvention:
    """Return the STFT convention that one resolution stands for."""
    if isinstance(resolution, STFTConvention | str | os.PathLike):
        return as_stft_convention(resolution)
    if not isinstance(resolution, Sequence) or len(resolution) != 3:
        raise InputError(
            f"a resolution is {resolution!r}; it must be (n_fft, hop_length, win_length) "
            "or the convention of an STFT"
        )
    n_fft, hop_length, win_length = resolution
    return STFTConvention(n_fft=n_fft, hop_length=hop_length, win_length=win_length)


class MultiResolutionSTFTLoss(_WaveformLoss):
    """Spectral convergence plus log-magnitude distance of two waveforms, averaged over STFTs.

    For each STFT this is `SpectralConvergenceLoss` plus the mean |ln |STFT(x̂)| − ln |STFT(x)||, in
    nepers. At least 0, and 0 at equality. Unchanged when both are scaled, except for magnitudes
    that cross the floor; below the floor the second term has no gradient. Cost: two STFTs for each
    resolution.

    auraloss differs in two points: it takes one ratio over the whole batch, and it clamps
    magnitudes to its floor, √eps, in the first term too.

    Args:
        resolutions: Sequence of (n_fft, hop_length, win_length), with centered Hann windows and
            reflect padding, or of STFT conventions. Default: those of Parallel WaveGAN.
        floor: Magnitudes below are clamped to it before the logarithm, at least 1e-18.

    Raises:
        InputError: If a resolution or the floor does not fit.
        ConventionError: If there is no such convention.

    References:
        R. Yamamoto, E. Song and J.-M. Kim, "Parallel WaveGAN: a fast waveform generation model
        based on generative adversarial networks with multi-resolution spectrogram", ICASSP 2020.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> loss = tmi.losses.MultiResolutionSTFTLoss([(256, 64, 256), (512, 128, 512)])
        >>> waveform = torch.randn(2, 4000)
        >>> loss(waveform, waveform)
        tensor(0.)
    """

    @named_options
    def __init__(
        self,
        resolutions: Sequence[
            tuple[int, int, int] | STFTConvention | str | os.PathLike[str]
        ] = RESOLUTIONS,
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        check_number("floor", floor, 1e-18)
        if isinstance(resolutions, str) or not resolutions:
            raise InputError(
                f"resolutions is {resolutions!r}; it must hold at least one "
                "(n_fft, hop_length, win_length) or convention"
            )
        self.stfts = nn.ModuleList(STFT(_resolution(each)) for each in resolutions)
        self.floor = floor

    def extra_repr(self) -> str:
        return f"floor={self.floor}"

    def _loss(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        losses = [self._loss_at(stft, estimate, reference, lengths) for stft in self.stfts]
        return torch.stack(losses).mean()

    def _loss_at(
        self, stft: Any, estimate: Tensor, reference: Tensor, lengths: Tensor | None
    ) -> Tensor:
        """Return the loss at one resolution."""
        spectrum, reference_spectrum, counts = spectra(stft, estimate, reference, lengths)
        magnitudes = safe_abs(spectrum), safe_abs(reference_spectrum)
        log_distance = mean_log_distance(*magnitudes, self.floor)
        log_distance = mean_of_valid(log_distance, counts, spectrum.shape[-1])
        return weighted_mean(bounded_relative_error(*magnitudes) + log_distance, counts)


class ComplexLoss(_WaveformLoss):
    """Distance of the compressed complex spectra of two waveforms, which depends on the phase.

    The spectra are compressed to c' = c (|c|² + floor²)^((exponent − 1) / 2): linear far below the
    floor, |c|^exponent with the phase of c far above, smooth at zero. The loss is the mean (`p` 1)
    or the root mean square (`p` 2) of |ĉ' − c'| over all bins. At least 0, and 0 at equality.
    Proportional to scale^exponent when both are scaled, for magnitudes far above the floor. Cost:
    two STFTs.

    Args:
        convention: The convention of the STFT: an `STFTConvention`, a `MelConvention`, a preset's
            name, or the path of a JSON file.
        exponent: Exponent of the magnitude, from 0.05 to 1.
        p: 1 for the mean distance, 2 for the root mean square.
        floor: Magnitude below which the compression is linear, at least 1e-15.

    Raises:
        InputError: If an option has no such value.
        ConventionError: If there is no such convention.

    References:
        A. Ephrat et al., "Looking to listen at the cocktail party: a speaker-independent
        audio-visual model for speech separation", ACM Trans. Graphics 37(4), 2018 (exponent 0.3,
        squared and summed).

    Example:
        >>> import torch, torchmelinv as tmi
        >>> loss = tmi.losses.ComplexLoss("hifigan_22k")
        >>> waveform = torch.randn(2, 11025)
        >>> bool(loss(-waveform, waveform) > 1)
        True
    """

    @named_options
    def __init__(
        self,
        convention: STFTConvention | str | os.PathLike[str],
        exponent: float = 0.3,
        p: P = 1,
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        check_p(p)
        check_number("exponent", exponent, 0.05, 1)
        check_number("floor", floor, 1e-15)
        self.stft = STFT(convention)
        self.exponent, self.p, self.floor = exponent, p, floor

    def extra_repr(self) -> str:
        return f"exponent={self.exponent}, p={self.p}, floor={self.floor}"

    def _compress(self, spectrum: Tensor) -> Tensor:
        """Return c (|c|² + floor²)^((exponent − 1) / 2)."""
        gain = (power_spectrum(spectrum) + self.floor**2).pow((self.exponent - 1) / 2)
        return spectrum * gain

    def _loss(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        spectrum, reference_spectrum, counts = spectra(self.stft, estimate, reference, lengths)
        difference = safe_abs(self._compress(spectrum) - self._compress(reference_spectrum))
        distance = mean_distance(difference, torch.zeros_like(difference), self.p)
        distance = mean_of_valid(distance, counts, difference.shape[-1], self.p)
        return weighted_mean(distance, counts)
