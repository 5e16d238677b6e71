"""The DC bin of a magnitude that was found for a mel, from the leakage of a constant offset.

No filter covers the DC bin of most filterbanks, and the mel of a waveform with an offset shows it
by leakage alone: the window spreads it over the bins beside DC (of a Hann window, over bin 1 with
half of its magnitude). Without a DC bin, iterations explain the first band by a tone, which leaks
into the second band instead. With W the window's spectrum, an offset of magnitude a at DC has

    m_k = a^power Σ_f M_kf |W_f / W_0|^power.

A frame looks like an offset if m_1 / m_0 is closer to that of an offset than to that of the lowest
tone that reaches the second band. If most frames do, their first bins become those of an offset
with the given m_0. The others get the DC bin of their mean: there a low voice covers the offset. A
steady tone between DC and bin 1 counts as an offset, too.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.mel_filterbank import mel_matrix
from torchmelinv.transforms.window import window_table

# Of the ratio m_1 / m_0 of a tone; between the bins 1 and 2 of a Hann window it is 1/2 for a tone
# at bin 1, and 0 for an offset.
_BELOW_TONE = 1 / 2
_REACHES = 0.05  # least m_1 / m_0 of a tone that reaches the second band
_SMALLEST_LEAKAGE = 1e-3  # into the first band, relative to its largest weight
_BANDS = 4  # that may be the second one


class _Offset(NamedTuple):
    """What an offset looks like in the first bins and in two bands."""

    first: int  # the band that it is measured by
    second: int  # the band that it does not reach, unlike tones
    ratio: float  # largest m_second / m_first of an offset
    shape: Tensor  # magnitudes of the first bins relative to m_first^(1 / power), (bins, 1)


@functools.lru_cache(maxsize=64)
@outside_inference_mode
def _offset_of(
    convention: MelConvention, dtype: torch.dtype, device: torch.device
) -> _Offset | None:
    """Return the looks of an offset; None if a filter covers DC or no band tells it from tones."""
    M = mel_matrix(convention)
    window = torch.fft.fft(window_table(convention.stft)).abs()
    frequency = torch.arange(M.shape[1])

    def mel_of(bin: int) -> Tensor:
        """Return the bands of a tone at a bin (0: of an offset) of magnitude 1."""
        return M @ (window[(frequency - bin).abs()] / window[0]) ** convention.power

    nonempty, offset = M.any(1).nonzero().flatten().tolist(), mel_of(0)
    first = nonempty[0] if nonempty else 0
    if M[:, 0].any() or offset[first] <= _SMALLEST_LEAKAGE * M[first].max():
        return None
    shape = window[: int(M[first].argmax()) + 1] / window[0]
    shape = shape / offset[first] ** (1 / convention.power)
    for second in nonempty[1:_BANDS]:
        # The lowest tone that reaches the second band.
        tones = (mel_of(bin) for bin in range(1, int(M[second].argmax()) + 1))
        ratios = (float(tone[second] / tone[first].clamp(min=1e-30)) for tone in tones)
        ratio = _BELOW_TONE * next((each for each in ratios if each > _REACHES), 0.0)
        if offset[second] < ratio * offset[first]:
            return _Offset(first, second, ratio, shape[:, None].to(dtype).to(device))
    return None


def restore_dc(
    magnitude: Tensor,
    linear_mel: Tensor,
    convention: MelConvention,
    frames: slice = slice(None),
) -> Tensor:
    """Return the magnitude with the first bins of a constant offset, where the mel shows one.

    Args:
        magnitude: Magnitude (…, n_freqs, n_frames).
        linear_mel: The linear mel that it was found for, (…, n_mels, n_frames).
        convention: The convention of the mel.
        frames: The frames of the magnitude, if it has not all of the mel.

    Returns:
        Magnitude of the same shape.
    """
    offset = _offset_of(convention, magnitude.dtype, magnitude.device)
    if offset is None:
        return magnitude
    first, second = (linear_mel[..., band, None, :] for band in (offset.first, offset.second))
    shape = offset.shape
    # a / shape_0: what the first band says if it has nothing but an offset.
    level = safe_pow(first.clamp(min=0), 1 / convention.power)
    alone = second < offset.ratio * first
    n_alone = alone.sum(-1, keepdim=True)
    usual = torch.where(alone, level, 0).sum(-1, keepdim=True) / n_alone.clamp(min=1)
    steady = 2 * n_alone > (first > 0).sum(-1, keepdim=True)
    level, alone = level[..., frames], alone[..., frames]
    low, high = magnitude[..., 1 : len(shape), :], magnitude[..., len(shape) :, :]
    dc = shape[:1] * torch.where(alone, level, torch.minimum(usual, level))
    low = torch.where(alone & steady, shape[1:] * level, low)
    return torch.cat([torch.where(steady, dc, magnitude[..., :1, :]), low, high], -2)
