"""Local weighted sums: Griffin-Lim's consistency, cut to the few bins around each bin that matter.

Le Roux, Kameoka, Ono and Sagayama (2010). Analysis after synthesis (P_C) is linear, and away from the signal's ends it is a sum
over nearby frames and bins. With c counted from each frame's first sample, E = Σ_s w²(· − s hop) the envelope, which repeats
every hop whatever the hop, and N = n_fft,

    P_C(c)_t[k] = Σ_q Σ_p K_q[p] · e^(2πi (k − p) q hop / N) c_(t−q)[k − p],
    K_q[p] = 1/N Σ_n w[n] w[n + q hop] / E[n] · e^(−2πi p n / N).

The exponential moves frame t − q into frame t's reference of time; after it the kernel K is the same for all bins and frames.
For a Hann window K falls off within three bins; |p| ≤ `bins` and the frames q whose heaviest weight is above 1 % of K_0[0]
are kept. As in the paper the centre weight is left out, so that a bin follows its neighbours alone:

    c ← P_A((P_C(c) − K_0[0] c) / (1 − K_0[0])),

which is Griffin-Lim with over-relaxation: a consistent spectrum stays as it is. All bins of all frames move at once (Jacobi);
those quieter than alpha · exp(−beta · i^gamma) times the item's mean modulus wait in iteration i. Where no start is given the
first iteration is `RtisiLa(look_ahead=0)`, which sets each frame's phase from the frames before it: the authors' "no future"
with compensated windows. It is worth some 10 dB of spectral convergence against random phases.

Shapes: spectra (items, frames, n_freqs). Cost of an iteration: 2 · bins + 16 complex products for each bin and kept frame, as
one matrix product, for which the spectrum is copied once for each kept frame: several iterations of Griffin-Lim on a CPU. The
paper's speed comes from visiting the loud bins alone, one after the other, which tensors cannot.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.ops.checks import check_number, check_whole
from torchmelinv.ops.precision import lasting
from torchmelinv.phase.method import PhaseMethod, PhaseProblem, Then
from torchmelinv.phase.retrieve import retrieve
from torchmelinv.phase.rtisi import RtisiLa
from torchmelinv.window import hop_envelope, window_table

LEAST_WEIGHT = 0.01  # of the centre's: frames whose weights are all lighter are left out
BLOCK = 16  # bins of one matrix product: smaller repeats more neighbours, larger multiplies more zeros


def consistency_kernel(convention: FrameConvention, bins: int) -> Tensor:
    """K_q[p] of all frames that overlap, q = −Q … Q, and p = −bins … bins: complex128 (2 Q + 1, 2 bins + 1)."""
    n_fft, hop = convention.n_fft, convention.hop_length
    window = window_table(convention)
    reach = -(-n_fft // hop) - 1
    envelope = hop_envelope(convention).repeat(reach + 1)[:n_fft]
    weight = torch.where(envelope > 0, window / torch.where(envelope > 0, envelope, 1), 0)
    beside = pad(window, (reach * hop, reach * hop)).unfold(0, n_fft, hop)  # w[n + q hop]
    turns = torch.outer(torch.arange(n_fft), torch.arange(-bins, bins + 1)).remainder(n_fft)
    angles = turns.double() * (-2 * math.pi / n_fft)
    return torch.complex(weight * beside @ angles.cos(), weight * beside @ angles.sin()) / n_fft


class _Neighbours(NamedTuple):
    """The kernel in the form that one matrix product wants."""

    frames: int  # Q, the farthest frame that is kept
    mirrored: Tensor  # where each bin from −bins on stands in a spectrum followed by its conjugate, (n,)
    rotation: Tensor  # e^(2πi k q hop / N) of these bins, complex (2 Q + 1, n), frames t − Q … t + Q
    weights: Tensor  # complex ((2 Q + 1) · (BLOCK + 2 bins), BLOCK), the centre left out, divided by what it leaves


@functools.lru_cache(maxsize=16)
@lasting
def _neighbours(convention: FrameConvention, bins: int, dtype: torch.dtype, device: torch.device) -> _Neighbours:
    n_fft, n_freqs = convention.n_fft, convention.n_freqs
    kernel = consistency_kernel(convention, bins)
    reach = len(kernel) // 2
    centre = kernel[reach, bins].real.clone()
    kernel[reach, bins] = 0
    if centre > 1 - 1e-6:
        kernel, centre = torch.zeros_like(kernel), centre.new_zeros(())  # frames that do not overlap say nothing to each other
    heavy = kernel.abs().amax(-1) > LEAST_WEIGHT * centre
    kept = max((abs(q) for q in range(-reach, reach + 1) if heavy[reach + q]), default=0)
    kernel = kernel[reach - kept : reach + kept + 1].flip(0) / (1 - centre)  # oldest frame first: q falls
    k = torch.arange(-bins, -(-n_freqs // BLOCK) * BLOCK + bins)
    folded = k.remainder(n_fft)
    mirrored = torch.where(folded < n_freqs, folded, n_freqs + n_fft - folded)
    turns = torch.outer(torch.arange(kept, -kept - 1, -1) * convention.hop_length, k).remainder(n_fft)
    rotation = torch.polar(torch.ones(turns.shape, dtype=torch.float64), turns.double() * (2 * math.pi / n_fft))
    apart = torch.arange(BLOCK) - torch.arange(BLOCK + 2 * bins)[:, None] + 2 * bins  # p + bins, of each input and output
    inside = (apart >= 0) & (apart <= 2 * bins)
    weights = torch.where(inside, kernel[:, apart.clamp(0, 2 * bins)], 0).flatten(0, 1)
    rotation, weights = (table.to(dtype).to(device) for table in (rotation, weights))
    return _Neighbours(kept, mirrored.to(device), rotation, weights)


def weighted_sums(spectrum: Tensor, convention: FrameConvention, bins: int) -> Tensor:
    """(P_C(c) − K_0[0] c) / (1 − K_0[0]) with the kernel cut off, (items, frames, n_freqs); frames outside count as zero."""
    frames, mirrored, rotation, weights = _neighbours(convention, bins, spectrum.dtype, spectrum.device)
    both = torch.cat([spectrum, spectrum.conj()], -1)
    around = pad(both.index_select(-1, mirrored), (0, 0, frames, frames))
    rotated = around.unfold(1, 2 * frames + 1, 1).transpose(-1, -2) * rotation
    blocks = rotated.unfold(-1, BLOCK + 2 * bins, BLOCK).transpose(-3, -2).flatten(-2)  # (items, frames, blocks, neighbours)
    return (blocks @ weights).flatten(-2)[..., : convention.n_freqs]


class LwsState(NamedTuple):
    spectrum: Tensor  # c, complex (items, frames, n_freqs)
    iteration: Tensor  # i, (items, 1)


@dataclasses.dataclass(frozen=True)
class Lws(PhaseMethod):
    """The numbers of the recursion: the kernel's reach in `bins`, and the threshold below which bins wait.

    `alpha` 0 lets no bin wait. 100, with `beta` 0.1 and `gamma` 1, is the schedule of the authors' package: made for 100
    iterations, it leaves most bins where they are in the first 30.
    """

    bins: int = 5
    alpha: float = 0.0
    beta: float = 0.1
    gamma: float = 1.0

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, 1)
        for name in ("alpha", "beta", "gamma"):
            check_number(name, getattr(self, name), 0)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> LwsState:
        return LwsState(spectrum, spectrum.real.new_zeros(len(spectrum), 1))

    def step(self, problem: PhaseProblem, state: LwsState) -> LwsState:
        spectrum, convention = state.spectrum, problem.plan.convention
        # More bins than half a spectrum would count some of them twice.
        sums = problem.plan.masked(weighted_sums(spectrum, convention, min(self.bins, (convention.n_fft - 1) // 2)))
        # Where all neighbours are silent there is nothing to follow: the bin stays.
        new = problem.impose(torch.where(sums == 0, spectrum, sums))
        if self.alpha:
            new = torch.where(self._loud(problem, state), new, spectrum)
        return LwsState(new, state.iteration + 1)

    def _loud(self, problem: PhaseProblem, state: LwsState) -> Tensor:
        """Whether a bin moves in this iteration, (items, frames, n_freqs). The mean is over an item's own frames."""
        modulus = state.spectrum.detach().abs()
        counted = problem.plan.counted
        frames = modulus.shape[1] if counted is None else counted.sum(1, keepdim=True)
        mean = modulus.sum((-2, -1), keepdim=True) / (frames * modulus.shape[-1])
        fall = (-self.beta * state.iteration[..., None] ** self.gamma).exp()
        return modulus > self.alpha * fall * mean

    def signal(self, problem: PhaseProblem, state: LwsState) -> Tensor:
        return problem.plan.synthesise(state.spectrum)


def lws(
    magnitude: Tensor,
    frame: Frame | FrameConvention,
    n_iter: int = 100,
    bins: int = 5,
    alpha: float = 0.0,
    beta: float = 0.1,
    gamma: float = 1.0,
    **options: Any,
) -> Tensor:
    """Local weighted sums: magnitude (…, n_freqs, n_frames) -> waveform (…, n_samples).

    Without a start the first of `n_iter` iterations sets the phases frame by frame from the frames before. `options` as in
    `griffin_lim`, and so the invariants; there is no bound on the inconsistency from one iteration to the next. With a
    `tolerance` leave `alpha` at 0: an iteration in which few bins are loud enough to move looks converged.
    """
    method: PhaseMethod = Lws(bins, alpha, beta, gamma)
    if options.get("start") is None and options.get("start_waveform") is None:
        options.pop("start", None)
        method = Then(RtisiLa(look_ahead=0), method, after=1)
    return retrieve(method, magnitude, frame, n_iter, **options).waveform
