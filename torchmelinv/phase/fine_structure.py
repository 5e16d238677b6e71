"""How much fine structure a magnitude has, between none (0) and that of a signal (1).

The log-magnitude of most signals varies from bin to bin: that of Gaussian noise by 0.64 nepers
(π / √24), that of tones and of onsets by more. A magnitude that was found for a mel varies only
where the mel does, and a mel of wide bands, a smoothed or a predicted one, hardly does: there it is
a mean over what the signal may have been. Phase that is estimated from such a magnitude is that of
one pulse in each frame, or of a few steady tones. With the deviation σ_k of ln A over nine bins
around a bin, and σ_t over three frames, a quarter of a window apart, about a straight line, the
weight of that phase is

    w = min(1, √(σ_k² + σ_t²) / 0.2).

Noise in bands of a few bins, voiced speech and onsets are above 0.2 nearly everywhere; a sound that
swells or decays is not for that reason.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from torchmelinv.conventions import STFTConvention

# Chosen on speech with hifigan_22k, vocos_24k, whisper_80 and librosa_melspectrogram: with 0.1 to
# 0.3 nepers and four or eight bins at each side, PESQ, ESTOI and the mel error hardly move. Without
# the frames, the sound before a click is 3 dB louder.
FULL_STRUCTURE = 0.2  # nepers
# In nepers, times the part of a frame that is new. Chosen on white noise in all presets, whose
# energy within a hop then varies by at most 2 dB more than that of the input, and on speech.
NEWEST_FULL_STRUCTURE = 1.2


class _Span(NamedTuple):
    """The neighborhood of a bin, which follows the length of the window."""

    bins: int  # at each side
    frames: int  # from one of the three frames to the next

    @classmethod
    def of(cls, convention: STFTConvention) -> _Span:
        length = convention.win_length
        frames = max(1, round(length / (4 * convention.hop_length)))
        return cls(round(4 * convention.n_fft / length), frames)


def _variance_of_bins(log: Tensor, audible: Tensor, span: _Span) -> Tensor:
    """Return the variance of ln A over the bins around each, of those that are audible."""
    log = log.nan_to_num(0, 0, 0)
    moments = torch.stack([audible, log, log.square()], 1)
    mean_of = avg_pool2d(moments, (1, 2 * span.bins + 1), 1, (0, span.bins))
    smallest = 0.5 / (2 * span.bins + 1)  # of one bin, but for rounding
    first, second = (mean_of[:, 1:] / mean_of[:, :1].clamp(min=smallest)).unbind(1)
    return second - first.square()


def _three(frames: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the frames `step` before, at and `step` after each, without the ends."""
    end = frames.shape[1]
    return frames[:, : end - 2 * step], frames[:, step : end - step], frames[:, 2 * step :]


def _variance_of_frames(log: Tensor, span: _Span) -> Tensor:
    """Return the variance of ln A over three frames about a straight line, without the ends.

    (items, frames, bins) -> (items, frames − 2 · span, bins); infinite or NaN where one is silent.
    """
    before, at, after = _three(log, span.frames)
    return torch.add(after + before, at, alpha=-2).square() / 18


def _log(relative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln A, −∞ in silent bins, and 1 where it is not."""
    return relative.log(), relative.sign()


def _weight(variance: Tensor, audible: Tensor, full: float) -> Tensor:
    return torch.minimum(variance.clamp(min=0).sqrt() / full, audible)


def structure_weight(relative: Tensor, convention: STFTConvention) -> Tensor:
    """Return w of each bin, from 0 to 1.

    Args:
        relative: Magnitude divided by its peak, 0 in silent bins, (items, frames, n_freqs). Silent
            bins have the weight 0 and do not count for σ_k. Bins before or after a silent one have
            full structure; at the ends, and beside frames that are silent altogether, σ_t is 0.
        convention: The STFT of the magnitude.

    Returns:
        Weights (items, frames, n_freqs).
    """
    log, audible = _log(relative)
    span = _Span.of(convention)
    ends = (0, 0, span.frames, span.frames)
    of_frames = _variance_of_frames(pad(log, ends, value=-math.inf), span)
    before, _, after = _three(pad(audible.amax(-1, keepdim=True), ends), span.frames)
    of_frames = torch.where(of_frames < math.inf, of_frames, before * after)
    return _weight(of_frames + _variance_of_bins(log, audible, span), audible, FULL_STRUCTURE)


def newest_structure_weight(relative: Tensor, convention: STFTConvention) -> Tensor:
    """Return w of the last frame, before the next one is known: σ_t is that of the frame before.

    The deviation of full structure is larger, because the more of a frame is new, the less of its
    chance structure can be kept.

    Args:
        relative: As in `structure_weight`, of at least one frame; but beside silent bins σ_t is 0.
        convention: The STFT of the magnitude.

    Returns:
        Weights (items, n_freqs).
    """
    # The stream keeps few frames: three neighbors are taken at any overlap.
    span = _Span.of(convention)._replace(frames=1)
    missing = (0, 0, max(0, 3 - relative.shape[1]), 0)
    log, audible = _log(pad(relative[:, -3:], missing))
    of_bins = _variance_of_bins(log[:, -1:], audible[:, -1:], span)
    variance = _variance_of_frames(log, span).nan_to_num(0, 0, 0) + of_bins
    full = NEWEST_FULL_STRUCTURE * convention.hop_length / convention.win_length
    return _weight(variance, audible[:, -1:], full)[:, 0]
