"""A waveform to its mel and back, with distances between the two."""

from __future__ import annotations

import copy
import dataclasses
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
        result_on_cpu = result.cpu()  # waits for the device
        seconds = time.perf_counter() - start
        result_mel = mel_spectrogram.linear_mel(result)
        magnitudes = [mel_spectrogram.stft.forward(each).abs() for each in (result, original)]
        # One silent channel alone would have an infinite distance.
        mels = [each.flatten(0, -2) for each in (result_mel, original_mel)]
        magnitudes = [each.flatten(0, -2) for each in magnitudes]
        return Roundtrip(
            inverter.convention,
            waveform,
            result_on_cpu,
            original_mel.cpu(),
            result_mel.cpu(),
            float(mel_error_db(*mels)),
            float(spectral_convergence_db(*magnitudes)),
            seconds,
        )
