"""Log mels of items that differ in length, as the restorations see them.

All work on natural logarithms of magnitude mels, in nepers.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from torchmelinv._utils.batching import frame_mask, length_mask
from torchmelinv._utils.validation import check_lengths, check_real
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape

# Nepers (13 dB) that a restoration may raise a value at most. Speech needs 1.2. Without a bound, a
# sound that starts in digital silence would start with a click.
_MOST_RAISED = 1.5
# Nepers below an item's peak: frames whose loudest band is quieter are pauses. They do not count
# for means, so that pauses do not make the rest louder.
PAUSE = 5.0
FLOOR = math.log(1e5)  # nepers below the item's peak: quieter values have no structure to restore


def check_log_mel(log_mel: Tensor, lengths: Any) -> tuple[Tensor, Tensor | None]:
    """Return a log mel (items, n_mels, n_frames) and the frames of each item, (items)."""
    log_mel = check_real(log_mel, "log_mel")
    if log_mel.ndim < 2 or log_mel.numel() == 0:
        raise InputError(
            f"log_mel has shape {tuple(log_mel.shape)}; it must be (…, n_mels ≥ 1, n_frames ≥ 1)"
        )
    counts = None
    if lengths is not None:
        items, n_frames = log_mel.shape[:-2], log_mel.shape[-1]
        counts = check_lengths(lengths, items, n_frames, log_mel.device).reshape(-1)
    return log_mel.reshape(-1, *log_mel.shape[-2:]), counts


def log_magnitude(linear_mel: Tensor, power: float) -> Tensor:
    """Return ln of a linear mel's power-th root, at least `FLOOR` below the peak of each item.

    (…, n_mels, n_frames), at least 0, with zeros in padding. An item of zeros becomes zeros.
    """
    peak = linear_mel.detach().amax((-2, -1), keepdim=True)
    tiny = torch.finfo(linear_mel.dtype).tiny
    floor = (peak * math.exp(-FLOOR * power)).clamp(min=tiny)
    # A peak of NaN stays NaN: it must not count as silence.
    return torch.where(peak == 0, 1, linear_mel.clamp(min=floor)).log() / power


def decompressed(
    mel: Tensor, convention: MelConvention, lengths: Any
) -> tuple[Tensor, Tensor | None]:
    """Return linear mels (items, n_mels, n_frames), 0 in padding, and the frames of each item."""
    mel, counts = check_log_mel(check_mel_shape(mel, convention), lengths)
    mask = None if counts is None else frame_mask(counts, mel)
    return decompress(mel, convention.level, mask), counts


def hold_last_frame(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Fill the padding of (items, n_mels, n_frames) with the last frame of each item."""
    if counts is None:
        return log_mel
    frames = torch.arange(log_mel.shape[-1], device=log_mel.device)
    source = torch.minimum(frames, counts[:, None] - 1)[:, None, :].expand_as(log_mel)
    return log_mel.gather(-1, source)


def held_log_mel(log_mel: Tensor, lengths: Any) -> tuple[Tensor, Tensor | None]:
    """Return what `check_log_mel` does, with padding filled by the last frame of each item."""
    log_mel, counts = check_log_mel(log_mel, lengths)
    return hold_last_frame(log_mel, counts), counts


def below_peak(log_mel: Tensor) -> Tensor:
    """Return log mels relative to the peak of their item; padding must hold the last frame."""
    return log_mel - log_mel.amax((-2, -1), keepdim=True)


def within(relative: Tensor, counts: Tensor | None, depth: float) -> Tensor:
    """Return True for the values of `below_peak` that are at most `depth` nepers below it.

    False in padding.
    """
    inside = relative >= -depth
    if counts is not None:
        inside = inside & length_mask(counts, relative.shape[-1])[:, None, :]
    return inside


def audible(log_mel: Tensor, counts: Tensor | None, depth: float) -> Tensor:
    """Return True for values at most `depth` nepers below the peak of their item's own frames."""
    return within(below_peak(log_mel), counts, depth)


def bounded(restored: Tensor, log_mel: Tensor) -> Tensor:
    """Return restored log mels that are at most 13 dB above those before."""
    return torch.minimum(restored, log_mel + _MOST_RAISED)


def masked_mean(values: Tensor, mask: Tensor | None, dim: int | tuple[int, ...]) -> Tensor:
    """Return the mean of the values where the mask is True, with kept dimensions; 0 of none."""
    # Double precision, so that padding, which changes the order of the sum, changes no result.
    wide = values.dtype if values.device.type == "mps" else torch.float64
    if mask is None:
        return values.mean(dim, keepdim=True, dtype=wide).to(values.dtype)
    total = torch.where(mask, values, 0).sum(dim, keepdim=True, dtype=wide)
    return (total / mask.sum(dim, keepdim=True).clamp(min=1)).to(values.dtype)


def loud_frames(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return True for the frames that are no pauses, (items, 1, n_frames)."""
    return audible(log_mel, counts, PAUSE).any(-2, keepdim=True)


def energy(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return the mean of the squared magnitudes over an item's own frames, (items, 1, 1)."""
    mask = None if counts is None else frame_mask(counts, log_mel).expand_as(log_mel)
    return masked_mean((2 * log_mel).exp(), mask, (-2, -1))
