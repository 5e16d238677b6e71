"""Phase gradient heap integration: the phase's slopes read off the magnitude, and added up where the magnitude is large.

Průša, Balazs and Søndergaard (2017). With a Gaussian window exp(−π n² / γ) the logarithm of a spectrum is, up to a known
factor, an analytic function of time and frequency, so the slopes of its angle are those of its log-magnitude, crosswise. Seen
from the window's centre (`bin_angle.py`), with t in frames, k in bins and ratio = hop n_fft / γ,

    ∂θ/∂t = 2π k hop / n_fft + ratio ∂ln A/∂k,        ∂θ/∂k = −∂ln A/∂t / ratio;

the angle from the frame's first sample, which is what a spectrum has here, is θ − 2π k centre / n_fft. Slopes are central
differences; the step from a bin to its neighbour is the mean of both ends' slopes. A spectrum is even in k around 0 and n_fft/2,
and the first, last and silent frames' missing neighbours count as equal to them. Hann-like windows are taken for the Gaussian
that is nearest in least squares.

Steps do not add up to the same angle along every path. `pghi_heap` is the paper's choice: from the loudest bin outwards, always
on from the loudest bin reached, which a heap finds one bin after the other. `pghi` takes the maximum spanning tree instead
(`ops/spanning_forest.py`), found for all bins of all items at once: the same idea, paths that avoid quiet bins, where steps are
least reliable. Both start at θ = 0 in the loudest bin of each connected part. On speech (1024/256) the tree is 1 dB of spectral
convergence better than the heap, on tones they agree.

Shapes: magnitude and angles (items, frames, n_freqs), frames before bins; angles in radians within [0, 2π]. Bins at most
`TOLERANCE` times the item's peak get a random angle, a function of seed, frame and bin. Invariants: a factor of the magnitude
does not change the angles, nor do silent frames at the end change those before; no gradient: angles are found under
`no_grad`. Cost: about 7 rounds over ever fewer trees, on a CPU that of some 15 Griffin-Lim iterations; the heap takes one push
and one pop in Python for each bin. By kernels (`ops/{pghi,spanning_forest}_cuda.py`) some twenty launches, and nothing is asked
of the host.
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention
from torchmelinv.ops import nvrtc, pghi_cuda, spanning_forest_cuda
from torchmelinv.ops.backend import by_kernel
from torchmelinv.ops.items import over_items
from torchmelinv.ops.precision import full_precision
from torchmelinv.ops.spanning_forest import integrate_angles
from torchmelinv.phase.bin_angle import bin_angles, window_centre
from torchmelinv.phase.random_phase import random_phasors

TOLERANCE = 1e-6

# γ / win_length². The paper's for Hann; Povey's by the fit that gives 0.2562 for Hann: least squares between the window and
# exp(−π n² / γ), both 1 at the centre. Other windows' by their sum, which is √γ for the Gaussian (and 0.25 for Hann).
_GAUSSIAN = {"hann": 0.25645, "hann_symmetric": 0.25645, "povey": 0.2900}


def _gaussian(convention: FrameConvention) -> float:
    window = convention.window
    if isinstance(window, str):
        return _GAUSSIAN[window]
    peak = max(map(abs, window))
    return max((sum(window) / peak / len(window)) ** 2, 1e-3) if peak else 1.0


def _ratio(convention: FrameConvention) -> float:
    return convention.hop_length * convention.n_fft / (_gaussian(convention) * convention.win_length**2)


def _steps(magnitude: Tensor, convention: FrameConvention) -> tuple[Tensor, Tensor, Tensor]:
    """Weights; θ of the next frame minus this one's, (items, frames − 1, n_freqs), and of the next bin, (…, n_freqs − 1)."""
    peak = magnitude.amax((-2, -1), keepdim=True)
    relative = magnitude / torch.where(peak > 0, peak, 1)
    heard = relative > 0
    level = torch.where(heard, relative, 1).log()
    rise_in_time = torch.where(heard[:, 1:] & heard[:, :-1], level.diff(dim=1), 0)
    rise_in_bins = torch.where(heard[..., 1:] & heard[..., :-1], level.diff(dim=2), 0)
    in_time = pad(rise_in_time, (0, 0, 1, 1))
    in_time = (in_time[:, 1:] + in_time[:, :-1]) / 2
    in_bins = pad((rise_in_bins[..., 1:] + rise_in_bins[..., :-1]) / 2, (1, 1))
    turn, ratio = bin_angles(convention, convention.hop_length, relative), _ratio(convention)
    down = turn + (in_bins[:, 1:] + in_bins[:, :-1]) * (ratio / 2)
    return torch.where(relative > TOLERANCE, relative, 0), down, (in_time[..., 1:] + in_time[..., :-1]) / (-2 * ratio)


def _heap(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """What `integrate_angles` does, for one item and in the paper's order: angles in float64 on the CPU."""
    rows, columns = weight.shape[1:]
    width = columns + 2  # a silent border saves asking whether a neighbour is there

    def bordered(table: Tensor) -> np.ndarray:
        after = 1 + columns - table.shape[-1], 1 + rows - table.shape[-2]
        return pad(table[0].double().cpu(), (1, after[0], 1, after[1])).numpy().ravel()

    loud = bordered(weight)
    order = np.argsort(-loud, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    rank, bin_of, step_down, step_right = (each.tolist() for each in (ranks, order, bordered(down), bordered(right)))
    waiting = bytearray((loud > 0).tobytes())
    angle = [0.0] * len(loud)
    for seed in bin_of[: int((loud > 0).sum())]:
        heap = [rank[seed]] if waiting[seed] else []
        waiting[seed] = 0
        while heap:
            here = bin_of[heapq.heappop(heap)]
            for there, step in (
                (here + 1, step_right[here]),
                (here - 1, -step_right[here - 1]),
                (here + width, step_down[here]),
                (here - width, -step_down[here - width]),
            ):
                if waiting[there]:
                    waiting[there] = 0
                    angle[there] = angle[here] + step
                    heapq.heappush(heap, rank[there])
    return torch.tensor(angle, dtype=torch.float64).reshape(1, rows + 2, width)[:, 1:-1, 1:-1]


def _finished(weight: Tensor, angles: Tensor, convention: FrameConvention, seed: int) -> Tensor:
    """Angles of the bins that weigh something, chance for the others; from the frame's first sample."""
    frames, bins = weight.shape[1:]
    chance = random_phasors(seed, frames, bins, weight.dtype, weight.device).angle()
    centring = bin_angles(convention, window_centre(convention), weight)
    return (torch.where(weight > 0, angles, chance) - centring).remainder(2 * math.pi)


def by_forest_kernel(magnitude: Tensor) -> bool:
    """Whether `pghi` of this magnitude finds its tree by kernels, and so asks the host for nothing."""
    sizes = lambda: spanning_forest_cuda.why_not(magnitude) or pghi_cuda.why_not(magnitude.shape[-1])  # noqa: E731
    return by_kernel("start 'pghi'", lambda: nvrtc.why_not(magnitude) or sizes())


def _along_forest(magnitude: Tensor, convention: FrameConvention, seed: int) -> Tensor:
    if by_forest_kernel(magnitude):
        turn = bin_angles(convention, convention.hop_length, magnitude)
        steps = pghi_cuda.steps(magnitude.contiguous(), magnitude.amax((-2, -1)), turn, _ratio(convention), TOLERANCE)
        angles = spanning_forest_cuda.integrate_angles(*steps)
    else:
        steps = _steps(magnitude, convention)
        angles = integrate_angles(*steps).to(magnitude)
    return _finished(steps[0], angles, convention, seed)


@full_precision
@torch.no_grad()
def pghi(magnitude: Tensor, convention: FrameConvention, seed: int = 0) -> Tensor:
    """Magnitude (items, frames, n_freqs), at least 0 -> angles in radians, the same shape; along the loudest tree."""
    return over_items(lambda one: (_along_forest(one, convention, seed),), magnitude)[0]


@full_precision
@torch.no_grad()
def pghi_heap(magnitude: Tensor, convention: FrameConvention, seed: int = 0) -> Tensor:
    """The same in the paper's order of integration, one item and one bin after the other, on the CPU."""
    results = []
    for one in magnitude.split(1):
        steps = _steps(one, convention)
        results.append(_finished(steps[0], _heap(*steps).to(magnitude), convention, seed))
    return torch.cat(results)
