"""The loudness of a waveform by ITU-R BS.1770, in LUFS.

Each channel passes a filter that imitates the head and one that ignores rumble. Blocks of 0.4 s
that overlap by 75 % count if they are above −70 LUFS and at most 10 LU below the mean of such
blocks.

References:
    ITU-R BS.1770-4, "Algorithms to measure audio programme loudness and true-peak audio level",
    2015. Its filters at any sample rate: B. De Man, "Evaluation of implementations of the EBU R128
    loudness measurement", AES Convention 145, 2018.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_BLOCK, _STEP = 0.4, 0.1  # seconds
_SILENCE, _GATE = -70.0, -10.0  # LUFS, and LU below the mean
_OFFSET = -0.691
_TAIL = 0.5  # seconds of zeros in which the filters fade out


def _responses(sample_rate: float, n_fft: int) -> Tensor:
    """Return the complex response of both filters at the bins of an FFT."""
    z = torch.exp(-2j * math.pi * torch.arange(n_fft // 2 + 1, dtype=torch.float64) / n_fft)
    tangent = math.tan(math.pi * min(1681.974450955533 / sample_rate, 0.49))
    gain, q = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = gain**0.4996667741545416
    shelf = (
        (gain + middle * tangent / q + tangent**2)
        + 2 * (tangent**2 - gain) * z
        + (gain - middle * tangent / q + tangent**2) * z**2
    )
    shelf = shelf / _denominator(tangent, q, z)
    tangent, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    high_pass = (1 - z) ** 2 * (1 + tangent / q + tangent**2) / _denominator(tangent, q, z)
    return shelf * high_pass


def _denominator(tangent: float, q: float, z: Tensor) -> Tensor:
    side = tangent / q
    return (1 + side + tangent**2) + 2 * (tangent**2 - 1) * z + (1 - side + tangent**2) * z**2


def loudness(waveform: Tensor, sample_rate: float) -> float:
    """Return the loudness in LUFS; −∞ for silence.

    A waveform shorter than a block counts as one.

    Args:
        waveform: Waveform (n_samples,) or (channels, n_samples).
        sample_rate: Sample rate in Hz.

    Returns:
        The loudness.
    """
    channels = waveform.detach().cpu().float().reshape(-1, waveform.shape[-1])
    n_fft = channels.shape[-1] + math.ceil(_TAIL * sample_rate)
    response = _responses(sample_rate, n_fft).to(torch.complex64)
    filtered = torch.fft.irfft(torch.fft.rfft(channels, n_fft) * response, n_fft)
    power = filtered[:, : channels.shape[-1]].double().square().sum(0)
    size, step = round(_BLOCK * sample_rate), max(1, round(_STEP * sample_rate))
    blocks = power.unfold(0, size, step).mean(1) if len(power) >= size else power.mean()[None]
    for gate in (_SILENCE, _level(_above(blocks, _SILENCE)) + _GATE):
        blocks = _above(blocks, gate)
    return _level(blocks)


def _above(blocks: Tensor, gate: float) -> Tensor:
    return blocks[_OFFSET + 10 * blocks.log10() > gate]


def _level(blocks: Tensor) -> float:
    mean = float(blocks.mean()) if len(blocks) else 0.0
    return _OFFSET + 10 * math.log10(mean) if mean > 0 else -math.inf
