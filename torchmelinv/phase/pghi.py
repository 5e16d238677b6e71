"""Phase gradient heap integration (PGHI): integrate phase slopes estimated from the magnitude.

Průša, Balazs and Søndergaard (2017). With a Gaussian window exp(−π n² / γ) the logarithm of a
spectrum is, up to a known factor, an analytic function of time and frequency, so the slopes of its
angle are those of its log-magnitude, crosswise. Relative to the window's center (`bin_angle.py`),
with t in frames, k in bins and ratio = hop n_fft / γ,

    ∂θ/∂t = 2π k hop / n_fft + ratio ∂ln A/∂k,        ∂θ/∂k = −∂ln A/∂t / ratio;

the angle from the frame's first sample is θ − 2π k center / n_fft. Slopes are central differences;
the step from a bin to its neighbor is the mean of both ends' slopes. A spectrum is even in k around
0 and n_fft/2; missing neighbors of the first, last and silent frames count as equal to them.
Hann-like windows are replaced by the Gaussian that is nearest in least squares.

Steps do not add up to the same angle along every path. The paper integrates from the loudest bin
outward, always continuing from the loudest bin reached, with a heap and one bin after the other.
Here the path is the maximum spanning tree (`spanning_forest.py`), found for all bins of all items
at once: it also avoids quiet bins, where steps are least reliable. Both start at θ = 0 in the
loudest bin of each connected part. On speech (1024/256) the tree is 1 dB of spectral convergence
better than the heap; on tones they agree.

The slopes of a smooth magnitude mean one pulse in each frame. So in a magnitude that was found for
a mel, the angle θ of a bin is mixed with a random one φ, a function of seed, frame and bin: it
becomes that of w exp(iθ) + √(1 − w²) exp(iφ), with w from `fine_structure.py`.

Magnitude and angles are (items, frames, n_freqs); angles lie within [0, 2π]. Bins of at most
`TOLERANCE` times the item's peak get a random angle. A factor of the magnitude does not change the
angles, nor do silent frames at the end change those before. No gradient passes. The cost is about 7
rounds over ever fewer trees: on a CPU, about 15 Griffin-Lim iterations. Elsewhere, no value is
looked at: about 300 operations for 10 s. The CUDA kernels (`cuda/pghi_cuda.py`,
`cuda/spanning_forest_cuda.py`) take some twenty launches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad, threshold

from torchmelinv._utils.batching import map_batch
from torchmelinv._utils.precision import full_precision
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda import nvrtc, pghi_cuda, spanning_forest_cuda
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.phase.bin_angle import bin_angles, window_center
from torchmelinv.phase.fine_structure import structure_weight
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.phase.spanning_forest import integrate_angles

TOLERANCE = 1e-6

# γ / win_length². The paper's value for Hann; Povey's by the fit that gives 0.2562 for Hann: least
# squares between the window and exp(−π n² / γ), both 1 at the center. Other windows get γ from
# their sum, which is √γ for the Gaussian (and 0.25 for Hann).
_GAUSSIAN = {"hann": 0.25645, "hann_symmetric": 0.25645, "povey": 0.2900}


def _gaussian(convention: STFTConvention) -> float:
    """Return γ / win_length² of the Gaussian that stands for the window."""
    window = convention.window
    if isinstance(window, str):
        return _GAUSSIAN[window]
    peak = max(map(abs, window))
    return max((sum(window) / peak / len(window)) ** 2, 1e-3) if peak else 1.0


def _ratio(convention: STFTConvention) -> float:
    """Return hop n_fft / γ."""
    gamma = _gaussian(convention) * convention.win_length**2
    return convention.hop_length * convention.n_fft / gamma


def phase_steps(
    magnitude: Tensor, convention: STFTConvention, peak: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Estimate the differences of θ between neighbors.

    Args:
        magnitude: Magnitude (items, frames, n_freqs).
        convention: The STFT of the magnitude.
        peak: Peak of the item, (items, 1, 1), if these frames are a part of it.

    Returns:
        Weights (items, frames, n_freqs); θ of the next frame minus that of this one, (items,
        frames − 1, n_freqs); θ of the next bin minus that of this one, (items, frames, n_freqs −
        1).
    """
    peak = magnitude.amax((-2, -1), keepdim=True) if peak is None else peak
    relative = _finite(magnitude / peak)
    log = relative.log()
    in_time = pad(_finite(log.diff(dim=1)), (0, 0, 1, 1))
    in_time = in_time[:, 1:] + in_time[:, :-1]  # twice the slope, as in bins
    in_bins = _finite(log.diff(dim=2))
    in_bins = pad(in_bins[..., 1:] + in_bins[..., :-1], (1, 1))
    turn, ratio = bin_angles(convention, convention.hop_length, relative), _ratio(convention)
    next_frame = torch.add(turn, in_bins[:, 1:] + in_bins[:, :-1], alpha=ratio / 4)
    next_bin = (in_time[..., 1:] + in_time[..., :-1]) / (-4 * ratio)
    return threshold(relative, TOLERANCE, 0), next_frame, next_bin


def _finite(values: Tensor) -> Tensor:
    """Return 0 for quotients of zeros and for differences to the logarithm of zero."""
    return values.nan_to_num(0, 0, 0)


def finish_angles(
    weight: Tensor, angles: Tensor, convention: STFTConvention, seed: int, first_frame: int = 0
) -> Tensor:
    """Return angles from the frame's first sample.

    Args:
        weight: Weight of the angle of each bin against a random one, from 0 to 1, (items, frames,
            n_freqs).
        angles: Angles relative to the window's center.
        convention: The STFT.
        seed: Seed of the random angles.
        first_frame: Number of the first of these frames in the item.

    Returns:
        Angles (items, frames, n_freqs) within [0, 2π].
    """
    frames, bins = weight.shape[1:]
    random = random_phasors(seed, frames, bins, weight.dtype, weight.device, first_frame)
    mixed = torch.polar(weight, angles) + (1 - weight.square()).sqrt() * random
    centering = bin_angles(convention, window_center(convention), weight)
    return (mixed.angle() - centering).remainder(2 * math.pi)


def _runs_by_kernel(magnitude: Tensor) -> bool:
    """Return whether the CUDA kernels compute the angles."""

    def unsupported_reason() -> str | None:
        return (
            nvrtc.unsupported_reason(magnitude)
            or spanning_forest_cuda.unsupported_reason(magnitude)
            or pghi_cuda.unsupported_reason(magnitude.shape[-1])
        )

    return use_kernel("init 'pghi'", unsupported_reason)


def _pghi(
    magnitude: Tensor,
    convention: STFTConvention,
    seed: int,
    of_mel: bool,
    peak: Tensor | None,
    first_frame: int,
) -> Tensor:
    if _runs_by_kernel(magnitude):
        turn = bin_angles(convention, convention.hop_length, magnitude)
        largest = magnitude.amax((-2, -1)) if peak is None else peak[:, 0, 0]
        arguments = magnitude.contiguous(), largest, turn, _ratio(convention), TOLERANCE
        steps = pghi_cuda.steps(*arguments)
        angles = spanning_forest_cuda.integrate_angles(*steps)
    else:
        steps = phase_steps(magnitude, convention, peak)
        angles = integrate_angles(*steps).to(magnitude)
    relative = steps[0]  # 0 in silent bins
    weight = structure_weight(relative, convention) if of_mel else (relative > 0).to(angles.dtype)
    return finish_angles(weight, angles, convention, seed, first_frame)


@full_precision
@torch.no_grad()
def pghi(
    magnitude: Tensor,
    convention: STFTConvention,
    seed: int = 0,
    of_mel: bool = False,
    *,
    peak: Tensor | None = None,
    first_frame: int = 0,
) -> Tensor:
    """Return angles (items, frames, n_freqs) in radians for a magnitude of at least 0.

    `of_mel` says that the magnitude was found for a mel, and may lack fine structure. Of a part of
    an item, `peak` (items, 1, 1) is that of the item, and `first_frame` the part's first frame.
    """

    def of_items(magnitude: Tensor, peak: Tensor | None) -> tuple[Tensor]:
        return (_pghi(magnitude, convention, seed, of_mel, peak, first_frame),)

    return map_batch(of_items, magnitude, peak)[0]
