"""A waveform to its mel and back, with distances between the two."""

from __future__ import annotations

import copy
import dataclasses
import math
import time

import torch
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.invert import MelInverter
from torchmelinv.metrics.distance import mel_error_db, spectral_convergence_db
from torchmelinv.transforms.compression import compress

__all__ = ["Roundtrip", "measure_roundtrip"]


@dataclasses.dataclass(frozen=True, eq=False)
class Roundtrip:
    """A waveform, its reconstruction from the mel, and the distances between the two.

    A distance is that of all channels together.

    Args:
        convention: The convention of the mel.
        original: Waveform (n_samples,) or (channels, n_samples).
        result: Reconstructed waveform of the same shape.
        original_mel: Linear mel (n_mels, n_frames) or (channels, n_mels, n_frames).
        result_mel: Linear mel of the result, of the same shape.
        mel_error_db: Distance of the linear mels in dB.
        spectral_convergence_db: Distance of the magnitudes of the convention's STFT in dB.
        seconds: Seconds that the inversion took.
        gain_db: Gain in dB that brought the result to the level of the original, the largest of all
            channels; 0 if the mel holds the level. All distances are those after the gain.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.corpus import measure_roundtrip
        >>> roundtrip = measure_roundtrip(torch.randn(22050), tmi.MelInverter("hifigan_22k"))
        >>> roundtrip.duration, roundtrip.original_mel.shape
        (1.0, torch.Size([80, 86]))
    """

    convention: MelConvention
    original: Tensor
    result: Tensor
    original_mel: Tensor
    result_mel: Tensor
    mel_error_db: float
    spectral_convergence_db: float
    seconds: float
    gain_db: float = 0.0

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return self.original.shape[-1] / self.convention.sample_rate

    @property
    def real_time_factor(self) -> float:
        """Seconds of computation for a second of audio."""
        return self.seconds / self.duration


def measure_roundtrip(
    waveform: Tensor, inverter: MelInverter, device: torch.device | str = "cpu"
) -> Roundtrip:
    """Analyze a waveform, invert its mel, and compare the two. Only the inversion is timed.

    Where the convention puts each mel's peak at one value (`reference_max`), the mel does not hold
    the level: the result is then scaled to that of the waveform, channel by channel.

    Args:
        waveform: Waveform (n_samples,) or (channels, n_samples) at the convention's sample rate.
        inverter: The inverter; it is moved to `device`. Channels share the initial phase, whatever
            its `channels` is.
        device: Where to compute.

    Returns:
        Both waveforms and mels on the CPU, with distances.

    Raises:
        InputError: If the waveform is too short for a frame.

    Shape:
        - waveform: (n_samples,) or (channels, n_samples)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.corpus import measure_roundtrip
        >>> roundtrip = measure_roundtrip(torch.randn(4000), tmi.MelInverter("hifigan_22k"))
        >>> roundtrip.result.shape
        torch.Size([4000])
        >>> roundtrip.mel_error_db < -20
        True
    """
    inverter = copy.copy(inverter.to(device))
    inverter.channels = waveform.ndim > 1
    mel_spectrogram = MelSpectrogram(inverter.convention).to(device)
    original = waveform.to(device)
    with torch.inference_mode():
        original_mel = mel_spectrogram.linear_mel(original)
        mel = compress(original_mel, inverter.convention.level)
        start = time.perf_counter()
        result = inverter(mel, length=waveform.shape[-1])
        result.sum().item()  # waits for the device
        seconds = time.perf_counter() - start
        result_mel = mel_spectrogram.linear_mel(result)
        gain_db = 0.0
        if inverter.convention.level.reference_max:
            gain = level_gain(result_mel, original_mel, inverter.convention.power)
            result = gain[..., None] * result
            result_mel = mel_spectrogram.linear_mel(result)
            gain_db = 20 * math.log10(float(gain.max()))
        magnitudes = [mel_spectrogram.stft.forward(each).abs() for each in (result, original)]
        # One silent channel alone would have an infinite distance.
        mels = [each.flatten(0, -2) for each in (result_mel, original_mel)]
        magnitudes = [each.flatten(0, -2) for each in magnitudes]
        return Roundtrip(
            inverter.convention,
            waveform,
            result.cpu(),
            original_mel.cpu(),
            result_mel.cpu(),
            float(mel_error_db(*mels)),
            float(spectral_convergence_db(*magnitudes)),
            seconds,
            gain_db,
        )


def level_gain(mel: Tensor, reference: Tensor, power: float) -> Tensor:
    """Return the factor of a waveform that brings its mel closest to a reference.

    Args:
        mel: Linear mel (…, n_mels, n_frames) of the waveform.
        reference: Linear mel of the same shape.
        power: Exponent of the magnitude in the mel.

    Returns:
        Factors (…), 1 where either mel is silent.
    """
    scale = torch.maximum(mel.amax((-2, -1), True), reference.amax((-2, -1), True)).clamp(1e-30)
    mel, reference = mel.double() / scale, reference.double() / scale
    ratio = (mel * reference).sum((-2, -1)) / mel.square().sum((-2, -1))
    valid = torch.isfinite(ratio) & (ratio > 0)
    return torch.where(valid, ratio, 1).pow(1 / power).to(scale.dtype)
