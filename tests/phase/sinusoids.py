"""Sinusoids for phases estimated from a magnitude, and the error where frames overlap fully."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.problems import stft_convention
from torchmelinv.conventions import STFTConvention
from torchmelinv.transforms.stft import STFT

F64 = torch.float64
TIME = torch.arange(2000, dtype=F64)
# Two thirds of a bin per hop of 32 samples.
GLIDE = (2 * math.pi * (10 * TIME + 0.01 * TIME.square()) / 128).sin()
CONVENTION = stft_convention(n_fft=128, hop_length=32, padding="none")
WINDOWS_AND_HOPS = (
    CONVENTION.replace(window="povey", window_align="left", win_length=100),
    CONVENTION.replace(window="hann_symmetric", win_length=101),
    CONVENTION.replace(win_length=80, hop_length=40),
    CONVENTION.replace(n_fft=129, win_length=129),
    CONVENTION.replace(hop_length=80),  # more than half a window
    CONVENTION.replace(window=torch.hamming_window(128)),
)


def spectrum_of(signal: Tensor, convention: STFTConvention = CONVENTION) -> Tensor:
    """Return spectra (items, frames, n_freqs)."""
    return STFT(convention)(signal.reshape(-1, signal.shape[-1])).mT.contiguous()


def inner_error_db(
    angles: Tensor, magnitude: Tensor, convention: STFTConvention = CONVENTION
) -> float:
    """Return the spectral convergence without both ends, where fewer frames overlap."""
    stft, edge = STFT(convention), -(-convention.n_fft // convention.hop_length)
    waveform = stft.inverse(torch.polar(magnitude, angles).mT)
    result = stft(waveform).abs().mT[:, edge:-edge]
    target = magnitude[:, edge : edge + result.shape[1]]
    return 20 * math.log10(float((result - target).norm() / target.norm()))


def sinusoid(
    position: float, convention: STFTConvention = CONVENTION, phase: float = 1.0
) -> Tensor:
    """Return a sinusoid whose frequency is `position` in bins."""
    return (2 * math.pi * position * TIME / convention.n_fft + phase).sin()
