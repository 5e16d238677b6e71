"""Local weighted sums (LWS): Griffin-Lim's consistency, restricted to the few bins around each bin.

Le Roux, Kameoka, Ono and Sagayama (2010). Analysis after synthesis (P_C) is linear, and away from
the signal's ends it is a sum over nearby frames and bins. With c counted from each frame's first
sample, E = Σ_s w²(· − s hop) the window sum, which repeats every hop, and N = n_fft,

    P_C(c)_t[k] = Σ_q Σ_p K_q[p] · e^(2πi (k − p) q hop / N) c_(t−q)[k − p],
    K_q[p] = 1/N Σ_n w[n] w[n + q hop] / E[n] · e^(−2πi p n / N).

The exponential moves frame t − q to frame t's reference of time; the kernel K is then the same for
all bins and frames. For a Hann window K falls off within three bins. |p| ≤ `bins` is kept, and the
frames up to the farthest one whose largest weight is above 1 % of K_0[0]. As in the paper the
center weight is left out, so that a bin follows its neighbors alone, but never more than 3/8 of it:

    c ← P_A((P_C(c) − κ c) / (1 − κ)),    κ = min(K_0[0], 3/8).

A consistent spectrum stays as it is. The paper updates one bin after the other. Here all bins of
all frames are updated at once (Jacobi), which multiplies the inconsistent part by −κ / (1 − κ).
K_0[0] is hop / n_fft where frames overlap: at 75 % overlap κ is the paper's 1/4, but at 50 % κ =
1/2 would keep the inconsistent part as large as it was.

Bins quieter than alpha · exp(−beta · i^gamma) times the item's mean magnitude are not updated in
iteration i.

With `rtisi_iter`, RTISI-LA does the first iterations, as ten of them in the "music" mode of the
authors' package, and LWS continues from its signal. `benchmarks/lws.py` compares both forms with
the package: after 32 iterations, LWS from PGHI, the default, is closer to the magnitude than the
package in both of its modes, and with ten iterations of RTISI-LA closer still at 75 % overlap.

The kernel is that of a signal without ends: frames before the first and after the last count as
silence. Where a clip is cut within a sound and its padding reflects, frames at both ends keep an
error.

An iteration costs 2 · bins + 16 complex products per bin and kept frame, as one matrix product that
copies the spectrum once per kept frame. The paper's speed comes from visiting only the loud bins,
one after the other, which tensors cannot.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.numerics import safe_divide
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.rtisi import RTISILA
from torchmelinv.transforms.window import window_sumsquare, window_table

LEAST_WEIGHT = 0.01  # of the center weight; frames with smaller weights only are dropped
LARGEST_KAPPA = 3 / 8  # the full center weight at 62.5 % overlap and more
BLOCK = 16  # bins of one matrix product: fewer repeat more neighbors, more multiply more zeros


def consistency_kernel(convention: STFTConvention, bins: int) -> Tensor:
    """Return K_q[p] for all frames that overlap, complex128 (2 Q + 1, 2 bins + 1).

    Rows are q = −Q … Q, columns p = −bins … bins.
    """
    n_fft, hop = convention.n_fft, convention.hop_length
    window = window_table(convention)
    reach = -(-n_fft // hop) - 1
    weight = safe_divide(window, window_sumsquare(window, hop).repeat(reach + 1)[:n_fft])
    shifted = pad(window, (reach * hop, reach * hop)).unfold(0, n_fft, hop)  # w[n + q hop]
    turns = torch.outer(torch.arange(n_fft), torch.arange(-bins, bins + 1)).remainder(n_fft)
    angles = turns.double() * (-2 * math.pi / n_fft)
    products = weight * shifted
    return torch.complex(products @ angles.cos(), products @ angles.sin()) / n_fft


class _Neighbors(NamedTuple):
    """The kernel in the form of one matrix product."""

    frames: int  # Q, the farthest frame that is kept
    # Index of each bin, from −bins on, in a spectrum followed by its conjugate, (n,).
    mirrored: Tensor
    # e^(2πi k q hop / N) of these bins in the frames t − Q … t + Q, complex (2 Q + 1, n).
    rotation: Tensor
    # (K − κ) / (1 − κ), complex ((2 Q + 1) · (BLOCK + 2 bins), BLOCK).
    weights: Tensor


@functools.lru_cache(maxsize=16)
@outside_inference_mode
def _neighbors(
    convention: STFTConvention, bins: int, dtype: torch.dtype, device: torch.device
) -> _Neighbors:
    n_fft, n_freqs = convention.n_fft, convention.n_freqs
    kernel = consistency_kernel(convention, bins)
    reach = len(kernel) // 2
    center = kernel[reach, bins].real.clone()
    kappa = center.clamp(max=LARGEST_KAPPA)
    kernel[reach, bins] -= kappa
    heavy = kernel.abs().amax(-1) > LEAST_WEIGHT * center
    kept = max((abs(q) for q in range(-reach, reach + 1) if heavy[reach + q]), default=0)
    # The oldest frame comes first: q falls.
    kernel = kernel[reach - kept : reach + kept + 1].flip(0) / (1 - kappa)
    k = torch.arange(-bins, -(-n_freqs // BLOCK) * BLOCK + bins)
    folded = k.remainder(n_fft)
    mirrored = torch.where(folded < n_freqs, folded, n_freqs + n_fft - folded)
    shifts = torch.arange(kept, -kept - 1, -1) * convention.hop_length
    angles = torch.outer(shifts, k).remainder(n_fft).double() * (2 * math.pi / n_fft)
    rotation = torch.polar(torch.ones_like(angles), angles)
    # p + bins of each input and output of a block.
    difference = torch.arange(BLOCK) - torch.arange(BLOCK + 2 * bins)[:, None] + 2 * bins
    inside = (difference >= 0) & (difference <= 2 * bins)
    weights = torch.where(inside, kernel[:, difference.clamp(0, 2 * bins)], 0).flatten(0, 1)
    rotation, weights = (table.to(dtype).to(device) for table in (rotation, weights))
    return _Neighbors(kept, mirrored.to(device), rotation, weights)


def weighted_sums(spectrum: Tensor, convention: STFTConvention, bins: int) -> Tensor:
    """Return (P_C(c) − κ c) / (1 − κ) with the truncated kernel, (items, frames, n_freqs).

    Frames before the first and after the last count as 0.
    """
    dtype, device = spectrum.dtype, spectrum.device
    frames, mirrored, rotation, weights = _neighbors(convention, bins, dtype, device)
    both = torch.cat([spectrum, spectrum.conj()], -1)
    around = pad(both.index_select(-1, mirrored), (0, 0, frames, frames))
    rotated = around.unfold(1, 2 * frames + 1, 1).transpose(-1, -2) * rotation
    # (items, frames, blocks, neighbors)
    blocks = rotated.unfold(-1, BLOCK + 2 * bins, BLOCK).transpose(-3, -2).flatten(-2)
    return (blocks @ weights).flatten(-2)[..., : convention.n_freqs]


class LWSState(NamedTuple):
    spectrum: Tensor  # c, complex (items, frames, n_freqs)
    iteration: Tensor  # i, (items, 1)


@dataclasses.dataclass(frozen=True)
class LWS(PhaseMethod):
    """Local weighted sums: each bin follows the bins around it.

    No bound on the inconsistency holds from one iteration to the next.

    Args:
        bins: Bins on each side that a sum includes. 3, 5 and 8 ended within 0.2 dB of each other
            (75 % overlap, four clips, after RTISI-LA); 2 lost 0.4 to 1.1 dB, and 1 ended 6 dB worse
            than it began.
        alpha: Threshold of the bins that are updated, relative to the mean magnitude; 0 updates all
            bins. 100 is the schedule of the authors' package, made for 100 iterations: it lost
            3.4 dB after 32 iterations from PGHI, and it saves no time here. With a tolerance, keep
            0: an iteration that updates few bins looks converged.
        beta: Rate at which the threshold falls.
        gamma: Exponent of the iteration in that fall.
        rtisi_iter: Iterations that RTISI-LA does first, at most all. RTISI-LA finds its own phases
            and ignores the initial phase. 10 is better for true magnitudes of music, and slower.

    Raises:
        InputError: If a number is out of its range.

    References:
        J. Le Roux, H. Kameoka, N. Ono and S. Sagayama, "Fast signal reconstruction from magnitude
        STFT spectrogram based on spectrogram consistency", DAFx 2010.

    Example:
        >>> import torchmelinv as tmi
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=tmi.phases.LWS(rtisi_iter=10))
    """

    bins: int = 5
    alpha: float = 0.0
    beta: float = 0.1
    gamma: float = 1.0
    rtisi_iter: int = 0

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, 1)
        check_whole("rtisi_iter", self.rtisi_iter, 0)
        for name in ("alpha", "beta", "gamma"):
            check_number(name, getattr(self, name), 0)

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        first = min(self.rtisi_iter, n_iter)
        return [*(RTISILA().stages(first) if first else []), (self, n_iter - first)]

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> LWSState:
        return LWSState(spectrum, spectrum.real.new_zeros(len(spectrum), 1))

    def step(self, problem: PhaseProblem, state: LWSState) -> LWSState:
        spectrum, convention = state.spectrum, problem.plan.convention
        # More bins than half a spectrum would count some of them twice.
        bins = min(self.bins, (convention.n_fft - 1) // 2)
        sums = problem.plan.masked(weighted_sums(spectrum, convention, bins))
        # Where all neighbors are silent there is nothing to follow: the bin stays.
        new = problem.impose(torch.where(sums == 0, spectrum, sums))
        if self.alpha:
            new = torch.where(self._loud(problem, state), new, spectrum)
        return LWSState(new, state.iteration + 1)

    def _loud(self, problem: PhaseProblem, state: LWSState) -> Tensor:
        """Return whether a bin is updated in this iteration, (items, frames, n_freqs)."""
        magnitude = state.spectrum.detach().abs()
        frame_mask = problem.plan.frame_mask
        frames = magnitude.shape[1] if frame_mask is None else frame_mask.sum(1, keepdim=True)
        mean = magnitude.sum((-2, -1), keepdim=True) / (frames * magnitude.shape[-1])
        decay = (-self.beta * state.iteration[..., None] ** self.gamma).exp()
        return magnitude > self.alpha * decay * mean

    def signal(self, problem: PhaseProblem, state: LWSState) -> Tensor:
        return problem.plan.inverse(state.spectrum)
