"""Single-pass spectrogram inversion (SPSI): each spectral peak is an advancing sinusoid.

Beauregard, Harish and Wyse (2015). In each frame the local maxima m of the magnitude A are peaks. A
parabola through the logarithms around a peak gives the distance p, in bins, of its frequency from
m. All bins between two valleys form the region of the peak between them. Relative to the window's
center (`bin_angle.py`) a sinusoid has one angle θ in all bins of its main lobe, so for every bin k
of the region of m

    p = ½ (ln A[m−1] − ln A[m+1]) / (ln A[m−1] − 2 ln A[m] + ln A[m+1]),
    θ_t[k] = θ_t−1[m] + 2π hop (f_t−1[m] + f_t[m]) / (2 n_fft),

with f = m + p at a peak, and the peak's f in its whole region. The paper advances by f_t[m] alone;
the mean of the frequencies at both ends of the hop follows a glide to second order and costs one
gather (on speech, 1024/256: 2 dB of spectral convergence). The angle from the frame's first sample
is θ_t[k] − 2π k center / n_fft. The first frame has θ = 0, every sinusoid at its maximum in the
first window's center: with reflected edges the frame centered on the first sample sees an even
signal, whose angles can only be 0 or π.

Magnitude and angles are (items, frames, n_freqs); angles lie within [0, 2π]. A factor of the
magnitude does not change the angles, nor do later frames change earlier ones. No gradient passes.
The cost is a dozen passes over the magnitude, then one gather, one addition and one remainder per
frame, in order, without a host sync. The CUDA kernels (`cuda/spsi_cuda.py`) take two launches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda import nvrtc, spsi_cuda
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.cuda.spsi_cuda import SMALLEST_RATIO
from torchmelinv.phase.bin_angle import bin_angles, window_center


def _peaks(magnitude: Tensor) -> Tensor:
    """Return the bin of the peak whose region each bin belongs to, like the magnitude.

    On a flat stretch the first bin is the peak. Any other bin follows its louder neighbor: uphill,
    and from a valley up the higher side.
    """
    last = magnitude.shape[-1] - 1
    left = pad(magnitude, (1, 0), value=-1)[..., :-1]
    right = pad(magnitude, (0, 1), value=-1)[..., 1:]
    bins = torch.arange(last + 1, device=magnitude.device).expand(magnitude.shape)
    is_peak = (magnitude > left) & (magnitude >= right)
    before = torch.where(is_peak, bins, -1).cummax(-1).values
    after = torch.where(is_peak, bins, last + 1).flip(-1).cummin(-1).values.flip(-1)
    # Beside a flat stretch one side may have no peak; the other has one, the frame's maximum.
    take_before = is_peak | (after > last) | ((before >= 0) & (left > right))
    peak = torch.where(take_before, before, after)
    return peak.clamp_(min=0)  # a frame of NaN has no peak


def _offsets(magnitude: Tensor) -> Tensor:
    """Return p of every bin, as if it were a peak; 0 at both ends, which mirror their neighbors."""
    middle = magnitude[..., 1:-1]
    size = torch.where(middle > 0, middle, 1)
    sides = magnitude[..., :-2], magnitude[..., 2:]
    below, above = (side.div(size).clamp(SMALLEST_RATIO, 1).log() for side in sides)
    curvature = below + above
    offset = (below - above) / (2 * torch.where(curvature < 0, curvature, -1))
    return pad(offset, (1, 1))


@full_precision
@torch.no_grad()
def spsi(magnitude: Tensor, convention: STFTConvention, previous: Tensor | None = None) -> Tensor:
    """Return angles (items, frames, n_freqs) in radians for a magnitude of at least 0.

    `previous` (items, n_freqs) are the angles of the frame before the first one. The frequencies of
    that frame are unknown, so the first frame then advances by its own frequencies alone.
    """
    turn = bin_angles(convention, convention.hop_length, magnitude)
    bin_turn = 2 * math.pi * convention.hop_length / convention.n_fft
    centering = bin_angles(convention, window_center(convention), magnitude)
    previous = None if previous is None else previous.to(magnitude.dtype)

    def unsupported_reason() -> str | None:
        return nvrtc.unsupported_reason(magnitude) or spsi_cuda.unsupported_reason(
            convention.n_freqs
        )

    if use_kernel("init 'spsi'", unsupported_reason):
        before = None if previous is None else previous.contiguous()
        return spsi_cuda.spsi(magnitude.contiguous(), turn, bin_turn, centering, before)
    peak = _peaks(magnitude)
    offset = _offsets(magnitude).gather(-1, peak)
    # f_t−1 − f_t in bins, from the offsets and from the peaks themselves.
    now, earlier = offset[:, 1:], offset[:, :-1].gather(-1, peak[:, 1:])
    glide = earlier - now + (peak[:, :-1].gather(-1, peak[:, 1:]) - peak[:, 1:])
    mean_offset = offset + pad(glide, (0, 0, 1, 0)) / 2
    advance = turn[peak] + mean_offset * bin_turn
    if previous is None:
        angle = torch.zeros_like(magnitude[:, 0])
    else:
        angle = (previous + centering).gather(-1, peak[:, 0]) + advance[:, 0]
    angles = [angle]
    for frame in range(1, magnitude.shape[1]):
        angle = (angle.gather(-1, peak[:, frame]) + advance[:, frame]).remainder(2 * math.pi)
        angles.append(angle)
    return (torch.stack(angles, 1) - centering).remainder(2 * math.pi)
