"""Single-pass spectrogram inversion: every spectral peak is a sinusoid that turns on from frame to frame.

Beauregard, Harish and Wyse (2015). In each frame the local maxima m of the magnitude A are peaks; a parabola through the
logarithms around one says how many bins p from m its frequency lies. All bins between two valleys form the region of the peak
between them. Seen from the window's centre (`bin_angle.py`) a sinusoid has one angle θ in all bins of its main lobe, so for
every bin k of the region of m

    p = ½ (ln A[m−1] − ln A[m+1]) / (ln A[m−1] − 2 ln A[m] + ln A[m+1]),
    θ_t[k] = θ_t−1[m] + 2π hop (f_t−1[m] + f_t[m]) / (2 n_fft),    f = m + p at a peak, and its peak's in all of a region.

The paper advances by f_t[m] alone; the mean of the frequencies at both ends of the hop follows a glide to second order and
costs one gather (on speech, 1024/256: 2 dB of spectral convergence). The angle from the frame's first sample, which is what a
spectrum has here, is θ_t[k] − 2π k centre / n_fft: the slope from bin to bin. The first frame has θ = 0, every sinusoid at its
crest in the first window's centre: with reflected edges the frame centred on the signal's first sample sees a signal that is
even around it, and angles of 0 or half a turn are all that it can have.

Shapes: magnitude and angles (items, frames, n_freqs), frames before bins; angles in radians within [0, 2π]. Invariants: a
factor of the magnitude does not change the angles, nor do later frames change earlier ones. No gradient: angles are found
under `no_grad`. Cost: a dozen passes over the magnitude, then one gather, one add and one remainder for each frame in order;
no host sync. By kernels (`ops/spsi_cuda.py`) two launches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention
from torchmelinv.ops import nvrtc, spsi_cuda
from torchmelinv.ops.backend import by_kernel
from torchmelinv.ops.precision import full_precision
from torchmelinv.ops.spsi_cuda import FAINT
from torchmelinv.phase.bin_angle import bin_angles, window_centre


def _peaks(magnitude: Tensor) -> Tensor:
    """The bin of the peak whose region each bin is in, like the magnitude; on a flat stretch its first bin is a peak.

    A bin that is no peak goes the way of its louder neighbour: uphill, and from a valley up the higher side.
    """
    last = magnitude.shape[-1] - 1
    left, right = pad(magnitude, (1, 0), value=-1)[..., :-1], pad(magnitude, (0, 1), value=-1)[..., 1:]
    bins = torch.arange(last + 1, device=magnitude.device).expand(magnitude.shape)
    is_peak = (magnitude > left) & (magnitude >= right)
    before = torch.where(is_peak, bins, -1).cummax(-1).values
    after = torch.where(is_peak, bins, last + 1).flip(-1).cummin(-1).values.flip(-1)
    # Beside flat stretches a side may be without a peak; the other side then has one, as the frame's maximum is a peak.
    peak = torch.where(is_peak | (after > last) | ((before >= 0) & (left > right)), before, after)
    return peak.clamp_(min=0)  # a frame of NaN has no peak at all


def _offsets(magnitude: Tensor) -> Tensor:
    """p of every bin, in bins, as if it were a peak; 0 at both ends, whose neighbours outside mirror those inside."""
    middle = magnitude[..., 1:-1]
    size = torch.where(middle > 0, middle, 1)
    below, above = (side.div(size).clamp(FAINT, 1).log() for side in (magnitude[..., :-2], magnitude[..., 2:]))
    bend = below + above
    return pad((below - above) / (2 * torch.where(bend < 0, bend, -1)), (1, 1))


@full_precision
@torch.no_grad()
def spsi(magnitude: Tensor, convention: FrameConvention, previous: Tensor | None = None) -> Tensor:
    """Magnitude (items, frames, n_freqs), at least 0 -> angles in radians, the same shape, of a spectrum that has it.

    `previous` (items, n_freqs): the angles of the frame before the first. What frequency they moved with is not known, so the
    first frame then advances by its own frequencies alone.
    """
    turn = bin_angles(convention, convention.hop_length, magnitude)
    bin_turn = 2 * math.pi * convention.hop_length / convention.n_fft
    centring = bin_angles(convention, window_centre(convention), magnitude)
    previous = None if previous is None else previous.to(magnitude.dtype)
    if by_kernel("start 'spsi'", lambda: nvrtc.why_not(magnitude) or spsi_cuda.why_not(convention.n_freqs)):
        given = None if previous is None else previous.contiguous()
        return spsi_cuda.spsi(magnitude.contiguous(), turn, bin_turn, centring, given)
    peak = _peaks(magnitude)
    offset = _offsets(magnitude).gather(-1, peak)
    now, then = offset[:, 1:], offset[:, :-1].gather(-1, peak[:, 1:])
    glide = then - now + (peak[:, :-1].gather(-1, peak[:, 1:]) - peak[:, 1:])  # f_t−1 − f_t, in bins
    beside = offset + pad(glide, (0, 0, 1, 0)) / 2  # how far from bin m the mean frequency lies
    advance = turn[peak] + beside * bin_turn
    if previous is None:
        angle = torch.zeros_like(magnitude[:, 0])
    else:
        angle = (previous + centring).gather(-1, peak[:, 0]) + advance[:, 0]
    angles = [angle]
    for frame in range(1, magnitude.shape[1]):
        angle = (angle.gather(-1, peak[:, frame]) + advance[:, frame]).remainder(2 * math.pi)
        angles.append(angle)
    return (torch.stack(angles, 1) - centring).remainder(2 * math.pi)
