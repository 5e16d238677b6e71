"""Sample rate conversion of waveforms on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import InputError

__all__ = ["resample"]

_LARGEST_RATIO = 256  # between two sample rates; 192 kHz is 24 times 8 kHz


def resample(waveform: Tensor, orig_freq: float, new_freq: float) -> Tensor:
    """Resample a waveform with soxr.

    Args:
        waveform: Waveform (channels, n_samples) on the CPU.
        orig_freq: Its sample rate in Hz.
        new_freq: The new sample rate in Hz, at most a factor of 256 away.

    Returns:
        Waveform (channels, about n_samples · new_freq / orig_freq).

    Raises:
        InputError: If the rates are too far apart, or the result would be empty.
        DependencyError: If soxr cannot be loaded.

    Shape:
        - waveform: (channels, n_samples)
        - output: (channels, about n_samples · new_freq / orig_freq)
    """
    if orig_freq == new_freq:
        return waveform
    if not 1 / _LARGEST_RATIO <= orig_freq / new_freq <= _LARGEST_RATIO:
        raise InputError(
            f"{orig_freq:g} Hz to {new_freq:g} Hz is more than a factor of {_LARGEST_RATIO}; "
            "give sample rates of audio"
        )
    # soxr rounds the number of samples.
    if waveform.shape[-1] * new_freq / orig_freq < 0.5:
        raise InputError(
            f"{waveform.shape[-1]} samples at {orig_freq:g} Hz are less than one at {new_freq:g} "
            "Hz; give more samples"
        )
    # Channel by channel in memory: for interleaved channels soxr 1.1 reads beyond the end of the
    # result, 8 bytes for each channel, which crashed on files with hundreds of channels. A copy,
    # because NumPy calls (channels, 1) contiguous with any strides.
    channels = waveform.numpy().copy(order="C")
    samples = require("soxr").resample(channels.T, orig_freq, new_freq)
    return torch.from_numpy(np.ascontiguousarray(samples.T))
