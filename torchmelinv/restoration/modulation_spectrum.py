"""Modulation spectra of log mels: the power of each band's fluctuations by their frequency."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from torchmelinv.restoration.log_mel import hold_last_frame, loud_frames, masked_mean
from torchmelinv.transforms.overlap_add import overlap_add

SEGMENT = 64  # frames
_HOP = 16
N_MODULATIONS = SEGMENT // 2 + 1
_WINDOW_SUMSQUARE = 1.5  # of the windows that cover a frame


def _window(like: Tensor) -> Tensor:
    return torch.hann_window(SEGMENT, dtype=like.dtype, device=like.device)


def modulations(log_mel: Tensor) -> Tensor:
    """Return the STFT of each band, (items, n_mels, N_MODULATIONS, segments).

    Both ends are extended by their last value; segment k is centered on frame 16 k − 64.
    """
    rows = pad(log_mel, (SEGMENT, SEGMENT), mode="replicate").flatten(0, 1)
    window = _window(log_mel)
    spectrum = torch.stft(
        rows, SEGMENT, _HOP, window=window, return_complex=True, pad_mode="constant"
    )
    return spectrum.unflatten(0, log_mel.shape[:2])


def from_modulations(spectrum: Tensor, n_frames: int, like: Tensor) -> Tensor:
    """Return the log mels (items, n_mels, n_frames) of `modulations`.

    Like `torch.istft`, which reads from the device whether windows cover all frames.
    """
    segments = overlap_add(torch.fft.irfft(spectrum.mT, n=SEGMENT), _window(like), _HOP)
    first = SEGMENT + SEGMENT // 2  # the extension, and the padding of centered segments
    return segments[..., first : first + n_frames] / _WINDOW_SUMSQUARE


def loud_segments(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return True for segments centered on neither padding nor a pause, (items, segments)."""
    loud = loud_frames(log_mel, counts)[:, 0]
    n_segments = 1 + (log_mel.shape[-1] + 2 * SEGMENT) // _HOP
    centers = torch.arange(n_segments, device=log_mel.device) * _HOP - SEGMENT
    ends = log_mel.shape[-1] if counts is None else counts[:, None]
    # Frames around the center count as well: an item can be shorter than a hop.
    # In two dimensions, because `torch.compile` would fix the length for one.
    near = max_pool2d(loud.to(log_mel.dtype)[:, None], (1, 2 * _HOP + 1), 1, (0, _HOP))[:, 0] > 0
    return near[:, centers.clamp(0, log_mel.shape[-1] - 1)] & (centers >= 0) & (centers < ends)


def modulation_power(log_mel: Tensor, counts: Tensor | None) -> Tensor:
    """Return the mean power of each modulation frequency, (items, n_mels, N_MODULATIONS).

    A fluctuation with the amplitude a, in nepers, has the power a² at its frequency. Segments whose
    center is padding or a pause do not count. The lowest frequencies include the mean of the band,
    up to the width of the window.
    """
    amplitudes = modulations(hold_last_frame(log_mel, counts)).abs() * (4 / SEGMENT)
    power = amplitudes.square()
    mask = loud_segments(log_mel, counts)[:, None, None]
    return masked_mean(power, mask.expand_as(power), -1)[..., 0]
