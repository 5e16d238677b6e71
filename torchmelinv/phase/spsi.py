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
The cost is some forty passes over the magnitude, then one gather and one addition per frame, in
order. Elsewhere than on the CPU, where each operation is a launch, log₂(frames) jumps replace the
frames: 60 launches for 10 s. Sums are exact, as integers (`turns.py`), so both give the same
angles. The CUDA kernels (`cuda/spsi_cuda.py`) take two launches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda import nvrtc, spsi_cuda
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.cuda.spsi_cuda import SMALLEST_RATIO
from torchmelinv.phase.bin_angle import bin_angles, bin_turns, window_center
from torchmelinv.phase.turns import TURN, jump, jumps_along, to_radians, to_turns


def _peaks(magnitude: Tensor) -> Tensor:
    """Return the bin of the peak whose region each bin belongs to, like the magnitude.

    On a flat stretch the first bin is the peak. Any other bin follows its louder neighbor: uphill,
    and from a valley up the higher side.
    """
    bordered = pad(magnitude, (1, 1), value=-1)
    rises = bordered[..., 1:] > bordered[..., :-1]  # to each bin from the one before
    is_peak = rises[..., :-1] > rises[..., 1:]
    count = is_peak.cumsum(-1)  # of peaks up to each bin
    bins = torch.arange(magnitude.shape[-1], device=magnitude.device).expand(magnitude.shape)
    # The n-th peak is the first bin up to which there are n.
    peaks = torch.zeros_like(count).scatter_reduce_(-1, count, bins, "amin", include_self=False)
    follows_next = (bordered[..., :-2] <= bordered[..., 2:]) > is_peak
    # After the last peak, a flat stretch has no next one.
    return peaks.gather(-1, torch.minimum(count + follows_next, count[..., -1:]))


def _double_offsets(magnitude: Tensor) -> Tensor:
    """Return 2p of every bin, as if it were a peak; 0 at both ends, mirrors of their neighbors."""
    middle = magnitude[..., 1:-1]
    size = middle.masked_fill(middle <= 0, 1)
    sides = magnitude.unfold(-1, 3, 1)[..., ::2]
    logs = (sides / size[..., None]).clamp(SMALLEST_RATIO, 1.0).log()
    # Where both are 0 so is p, and the divisor may be anything.
    curvature = logs.sum(-1).clamp(max=-(torch.finfo(logs.dtype).eps ** 2))
    return pad((logs[..., 0] - logs[..., 1]) / curvature, (1, 1))


def _own_advance(magnitude: Tensor, peak: Tensor, convention: STFTConvention) -> Tensor:
    """Return how far each bin's angle advances per hop by its frame's frequencies, in turns."""
    per_half_bin = convention.hop_length / convention.n_fft * TURN / 2
    centers = bin_turns(convention, convention.hop_length, magnitude)
    return (centers + (_double_offsets(magnitude) * per_half_bin).long()).gather(-1, peak)


def _frame_before(peak: Tensor) -> Tensor:
    """Return the number, of the item's bins, of each bin's peak in the frame before; of the peak
    itself in the first frame, which has none."""
    frames, n_freqs = peak.shape[1:]
    rows = torch.arange(-1, frames - 1, device=peak.device).clamp(min=0) * n_freqs
    return peak + rows[:, None]


def _add_in_order(steps: Tensor, before: Tensor, start: Tensor | None) -> Tensor:
    """Return the angles of all frames from those of the first and the steps to the others.

    The first step is 0, as are the first angles by default. Overwrites the steps.
    """
    if start is not None:
        steps[:, 0] = start
    for frame in range(1, steps.shape[1]):
        steps[:, frame] += _values_at(steps, before[:, frame])
    return steps


def _add_by_jumps(steps: Tensor, before: Tensor, start: Tensor | None) -> Tensor:
    """Do the same in log₂(frames) jumps; the result is the same bit for bit.

    A traced graph has 16 of them: after 2¹⁶ frames, each angle is that since 2¹⁶ frames before.
    """
    chains = torch.stack([before, steps]).flatten(2)
    first, angles = jump(chains, jumps_along(steps.shape[1] - 1))
    if start is not None:
        steps[:, 0] = start
        angles = angles + _values_at(steps, first)
    return angles.reshape(steps.shape)


def _values_at(values: Tensor, numbers: Tensor) -> Tensor:
    """Return the values (items, frames, n_freqs) at numbers (items, …) of the item's bins."""
    return values.flatten(1).gather(1, numbers.flatten(1)).reshape(numbers.shape)


@full_precision
@torch.no_grad()
def spsi(magnitude: Tensor, convention: STFTConvention, previous: Tensor | None = None) -> Tensor:
    """Return angles (items, frames, n_freqs) in radians for a magnitude of at least 0.

    `previous` (items, n_freqs) are the angles of the frame before the first one. The frequencies of
    that frame are unknown, so the first frame then advances by its own frequencies alone.
    """

    def unsupported_reason() -> str | None:
        return nvrtc.unsupported_reason(magnitude) or spsi_cuda.unsupported_reason(
            convention.n_freqs
        )

    hop, center = convention.hop_length, window_center(convention)
    if use_kernel("init 'spsi'", unsupported_reason):
        turn, centering = (bin_angles(convention, each, magnitude) for each in (hop, center))
        if previous is not None:
            previous = previous.to(magnitude.dtype).contiguous()
        bin_turn = 2 * math.pi * hop / convention.n_fft
        return spsi_cuda.spsi(magnitude.contiguous(), turn, bin_turn, centering, previous)
    peak = _peaks(magnitude)
    own, centering = _own_advance(magnitude, peak, convention), bin_turns(convention, center, peak)
    before = _frame_before(peak)
    steps = (own + _values_at(own, before)) >> 1
    steps[:, 0].zero_()
    start = None
    if previous is not None:
        angles = to_turns(previous.to(magnitude.dtype)) + centering
        start = angles.gather(-1, peak[:, 0]) + own[:, 0]
    add = _add_in_order if may_depend_on_values(magnitude) else _add_by_jumps
    return to_radians(add(steps, before, start) - centering, magnitude.dtype)
