"""How much fine structure a magnitude has, between none (0) and that of a signal (1).

The log-magnitude of every signal varies from bin to bin: that of Gaussian noise by 0.64 nepers
(π / √24), that of tones and of onsets by more. A magnitude that was found for a mel varies only
where the mel does, and a mel of wide bands, a smoothed or a predicted one, hardly does: there it is
a mean over what the signal may have been. Phase that is estimated from such a magnitude is that of
one pulse in each frame, or of a few steady tones. With the deviations of ln A over nine bins around
a bin, σ_k, and over three frames about a straight line, σ_t, the weight of that phase is

    w = min(1, √(σ_k² + σ_t²) / 0.2).

Noise of bands of a few bins, voiced speech and onsets are above 0.2 nearly everywhere; a sound that
swells or decays is not for that reason.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from torchmelinv._utils.numerics import safe_divide

# Chosen on speech with hifigan_22k, vocos_24k, whisper_80 and librosa_melspectrogram: with 0.1 to
# 0.3 nepers and four or eight bins at each side, PESQ, ESTOI and the mel error hardly move. Without
# the frames, the sound before a click is 3 dB louder.
FULL_STRUCTURE = 0.2  # nepers
_BINS = 9


def _variance_of_bins(log: Tensor, audible: Tensor) -> Tensor:
    """Return the variance of ln A over nine bins, of those that are audible."""
    moments = torch.stack([audible.to(log.dtype), log, log.square()], 1)
    mean_of = avg_pool2d(moments, (1, _BINS), 1, (0, _BINS // 2))
    count, first, second = mean_of.unbind(1)
    return safe_divide(second, count) - safe_divide(first, count).square()


def _variance_of_frames(log: Tensor, audible: Tensor) -> Tensor:
    """Return the variance of ln A over three frames about a straight line.

    The first and the last frame take that of the frame beside them.
    """
    if log.shape[1] < 3:
        return torch.zeros_like(log)
    curvature = log[:, 2:] - 2 * log[:, 1:-1] + log[:, :-2]
    complete = audible[:, 2:] & audible[:, 1:-1] & audible[:, :-2]
    variance = torch.where(complete, curvature.square() / 18, 0)
    return torch.cat([variance[:, :1], variance, variance[:, -1:]], 1)


def structure_weight(relative: Tensor, floor: float, full: float = FULL_STRUCTURE) -> Tensor:
    """Return w of each bin, from 0 to 1.

    Args:
        relative: Magnitude divided by its peak, (items, frames, n_freqs).
        floor: Largest relative magnitude of a silent bin. Silent bins count for no deviation, and
            their weight is 0.
        full: Deviation in nepers from which the weight is 1.

    Returns:
        Weights (items, frames, n_freqs).
    """
    audible = relative > floor
    log = torch.where(audible, relative, 1).log()
    variance = _variance_of_bins(log, audible) + _variance_of_frames(log, audible)
    weight = variance.clamp(min=0).sqrt() / full
    return torch.where(audible, weight.clamp(max=1), 0)
