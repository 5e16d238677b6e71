"""Waveform to mel spectrogram as a model computes it: the path that `MelInverter` inverts."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask
from torchmelinv._utils.module import Module
from torchmelinv._utils.precision import full_precision
from torchmelinv._utils.tracing import is_traced
from torchmelinv._utils.validation import check_lengths, check_real
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.transforms.compression import compress
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import filterbank_input, power_spectrum, safe_abs
from torchmelinv.transforms.stft import STFT

__all__ = ["MelSpectrogram"]

_LARGEST_WHOLE = 2**25  # samples of all frames; longer waveforms are analyzed in blocks


def _is_long(convention: MelConvention, waveform: Tensor) -> bool:
    n_frames = convention.n_frames(waveform.shape[-1]) if waveform.ndim else 0
    return n_frames * convention.n_fft > _LARGEST_WHOLE


class MelSpectrogram(Module):
    """Compute the mel spectrogram of a waveform in a model's convention.

    The module has no parameters. Its tables follow the waveform's device and dtype; half precisions
    are computed in and returned as float32.

    Args:
        convention: A `MelConvention`, a preset's name, or the path of a JSON file.

    Attributes:
        convention: The `MelConvention`, read-only.
        stft: The `STFT` of the convention.
        filterbank: The `MelFilterbank` of the convention.

    Raises:
        ConventionError: If there is no such convention.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel_spectrogram = tmi.MelSpectrogram("hifigan_22k")
        >>> mel_spectrogram(0.1 * torch.randn(2, 22050)).shape
        torch.Size([2, 80, 86])
    """

    def __init__(self, convention: MelConvention | str | os.PathLike[str]) -> None:
        super().__init__()
        self._convention = as_convention(convention)
        self.stft = STFT(self._convention)
        self.filterbank = MelFilterbank(self._convention)

    @property
    def convention(self) -> MelConvention:
        """The convention of the mels. Read-only: its STFT and filterbank would not follow."""
        return self._convention

    @full_precision
    def magnitude(self, waveform: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the magnitude |STFT| of a waveform.

        Args:
            waveform: Waveform (…, n_samples).
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            Magnitude (…, n_freqs, n_frames); 0 in padding frames.

        Raises:
            InputError: If the waveform is not real floating point, or too short for a frame.
        """
        return safe_abs(self.stft(waveform, lengths=lengths))

    @full_precision
    def linear_mel(self, waveform: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the mel spectrogram before compression.

        Args:
            waveform: Waveform (…, n_samples).
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            Linear mel spectrogram (…, n_mels, n_frames), at least 0: the filterbank applied to
            |STFT|^power, with the convention's offset or floor.

        Raises:
            InputError: If the waveform is not real floating point, or too short for a frame.
        """
        waveform = check_real(waveform, "waveform")
        whole = lengths is not None or waveform.requires_grad or is_traced(waveform)
        if not whole and _is_long(self.convention, waveform):
            mels = map(self._mel_of, self.stft.blocks(waveform))
            return torch.cat(list(mels), -1)
        return self._mel_of(self.stft(waveform, lengths=lengths))

    def _mel_of(self, spectrum: Tensor) -> Tensor:
        return self.filterbank(filterbank_input(power_spectrum(spectrum), self.convention))

    @full_precision
    def forward(self, waveform: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Compute the mel spectrogram.

        Args:
            waveform: Waveform (…, n_samples).
            lengths: Samples of each item of a padded batch, (…).

        Returns:
            Mel spectrogram (…, n_mels, n_frames) in the convention's values; padding frames hold
            the value of silence.

        Raises:
            InputError: If the waveform is not real floating point, or too short for a frame.

        Shape:
            - waveform: (…, n_samples)
            - lengths: (…)
            - output: (…, n_mels, n_frames)
        """
        waveform = check_real(waveform, "waveform")
        linear, mask = self.linear_mel(waveform, lengths=lengths), None
        if lengths is not None:
            items, n_samples = waveform.shape[:-1], waveform.shape[-1]
            sample_counts = check_lengths(lengths, items, n_samples, waveform.device)
            mask = frame_mask(self.stft.frame_counts(sample_counts), linear)
        return compress(linear, self.convention.level, mask)
