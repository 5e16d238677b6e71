"""Noise for a new frame of a stream, where its envelope has no fine structure."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_divide
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.fine_structure import newest_structure_weight
from torchmelinv.phase.pghi import TOLERANCE
from torchmelinv.phase.random_phase import frame_phasors


def noise_frame(
    envelope: Tensor, frame: int, window: Tensor, convention: STFTConvention
) -> tuple[Tensor, Tensor]:
    """Return noise for the newest frame, as far as its envelope has no fine structure.

    Args:
        envelope: Envelopes of the newest frame and those before it, (items, frames, n_freqs).
        frame: Index of the newest frame.
        window: Window (n_fft,).
        convention: The STFT.

    Returns:
        Samples (items, n_fft) whose windowed spectrum has about the magnitude of the noise; the
        part of the frame's energy that is noise, (items, 1).
    """
    latest = envelope[:, -3:]
    relative = safe_divide(latest, latest.amax((-2, -1), keepdim=True))
    weight = newest_structure_weight(torch.where(relative > TOLERANCE, relative, 0), convention)
    newest = envelope[:, -1]
    magnitude = newest * (1 - weight.square()).sqrt()
    phasors = frame_phasors(0, frame, newest.shape[-1], newest.dtype, newest.device)
    samples = torch.fft.irfft(magnitude * phasors, n=len(window))
    energy, of_noise = (each.square().sum(-1, keepdim=True) for each in (newest, magnitude))
    scale = math.sqrt(len(window)) / window.norm()
    return samples * scale, safe_divide(of_noise, energy)
