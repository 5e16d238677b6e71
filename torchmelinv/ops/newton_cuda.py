"""The entropic and the least-distance magnitude inverse as one kernel: each frame from its mel to its spectrum.

What `magnitude/dual_newton.py` computes, to float32 rounding. Three things are the kernel's own. The exponent u = Mᵀλ is not
summed up over the steps but computed anew from λ, which therefore has two floats. The slope along a step Δ is Σ Δ_k g_k over
bands, not a sum over bins. And the tridiagonal system is eliminated in order, from both ends, which is backward stable where the
matrix is positive definite: no refinement is needed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.ops.nvrtc import Kernel, launch, most_shared_bytes

METHODS = ("entropic", "least_distance")
LANES, CHUNK = 32, 8  # frames of a block; bins that the kernel loads ahead
ARRAYS, TOTALS = 6, 6  # the solver's numbers in shared memory for each frame: of every band, and of every part
MOST_PARTS = 6  # warps that share a frame's bins
BAND_COST, BIN_COST = 100, 40  # instructions, about
# The rules of the engine, which `dual_newton.py` follows too.
HARD, SOFT = 1e-7, 1e-3  # ρ for a mel that some spectrum has, and for one that none has
HARD_RESIDUAL = 1e-4  # ‖Ms − m‖ / ‖m‖ above which none has it
N_TRIALS = 8  # step lengths tried in one line search
HARD_STEPS, SOFT_STEPS = 25, 50
TOLERANCE = 0.01 * torch.finfo(torch.float32).eps ** 0.5


class Tables(NamedTuple):
    """One filterbank, every filter scaled to a peak of 1, as the kernels read it."""

    rows: Tensor  # weights of a bin in its lower band and in the next, bands to go on before it, 0: (bins filled up, 4)
    # First row, bin and band of each warp's part, and what would come after the last: (parts + 1, 3) int32. Bins before the first
    # and after the last one that any filter sees are in no part.
    parts: Tensor
    n_freqs: int
    n_mels: int


class Solved(NamedTuple):
    spectrum: Tensor  # (1, n_freqs, frames)
    multiplier: Tensor  # λ, (1, n_mels, frames)
    softness: Tensor  # ρ, (1, 1, frames)
    steps: Tensor  # (1, 1, frames)
    converged: Tensor  # (1, 1, frames)


def _lower_bands(matrix: Tensor) -> list[int] | None:
    """For each bin a band so that it feeds no other than this and the next, in rising order; None where there are none."""
    n_mels, n_freqs = matrix.shape
    used = matrix.detach().cpu() != 0
    first = torch.where(used.any(0), used.int().argmax(0), -1).tolist()
    last = torch.where(used.any(0), n_mels - 1 - used.flip(0).int().argmax(0), -1).tolist()
    lower, bands = 0, []
    for bin in range(n_freqs):
        if first[bin] >= 0:
            lower = max(lower, last[bin] - 1)
            if first[bin] < lower or last[bin] > lower + 1:
                return None
        bands.append(lower)
    return bands


def _shared_bytes(n_mels: int, arrays: int, slots: int) -> int:
    parts = _n_parts(n_mels)
    return 4 * LANES * (arrays * n_mels + (2 + slots) * parts + 9)


def _n_parts(n_mels: int) -> int:
    return min(MOST_PARTS, n_mels)


def why_not(matrix: Tensor) -> str | None:
    """What keeps the kernels from serving a filterbank (n_mels, n_freqs), if anything does. Looks at it on the host."""
    if _shared_bytes(len(matrix), ARRAYS, TOTALS) > most_shared_bytes(matrix.device):
        return f"{len(matrix)} filters are more than a block's shared memory holds"
    if _lower_bands(matrix) is None:
        return "the kernel is for filters in the order of their bins, of which at most two neighbours share a bin"
    return None


def tables(matrix: Tensor) -> Tables:
    """For a matrix (n_mels, n_freqs) with peaks of 1, of which `why_not` says None. Looks at it on the host: make them once."""
    n_mels, n_freqs = matrix.shape
    bands = _lower_bands(matrix)
    if bands is None:
        raise ValueError(why_not(matrix))
    weights = torch.cat([matrix, torch.zeros_like(matrix[:1])]).cpu()
    bins = [0] * n_mels  # of each band
    fed = matrix.any(0).nonzero().flatten().tolist() or [-1]
    for band in bands[fed[0] : fed[-1] + 1]:
        bins[band] += 1
    n_parts = _n_parts(n_mels)
    costs = torch.tensor([BAND_COST + BIN_COST * count for count in bins], dtype=torch.float64).cumsum(0)
    rows: list[list[float]] = []
    parts = []
    first_bin, first_band = max(fed[0], 0), 0
    for part in range(n_parts):
        parts.append([len(rows), first_bin, first_band])
        # As near to its share of the cost as bounds of bands allow, and at least one band for it and for each part to come.
        cut = int(torch.searchsorted(costs, costs[-1] * (part + 1) / n_parts - costs[0] / 2)) + 1
        last_band = n_mels if part == n_parts - 1 else min(max(cut, first_band + 1), n_mels - (n_parts - 1 - part))
        band = first_band
        for bin in range(first_bin, first_bin + sum(bins[first_band:last_band])):
            low, high = weights[bands[bin] : bands[bin] + 2, bin].tolist()
            rows.append([low, high, bands[bin] - band, 0])
            band = bands[bin]
        first_bin += sum(bins[first_band:last_band])
        first_band = last_band
        rows += [[0.0] * 4] * (-len(rows) % CHUNK)
    parts.append([len(rows), first_bin, first_band])
    return Tables(matrix.new_tensor(rows), torch.tensor(parts, dtype=torch.int32).to(matrix.device), n_freqs, n_mels)


def _kernel(name: str, n_mels: int, method: str) -> Kernel:
    rules = (("HARD", HARD), ("SOFT", SOFT), ("HARD_RESIDUAL", HARD_RESIDUAL), ("TOLERANCE", TOLERANCE))
    counts = (("HARD_STEPS", HARD_STEPS), ("SOFT_STEPS", SOFT_STEPS), ("N_TRIALS", N_TRIALS))
    sizes = (("N_MELS", n_mels), ("PARTS", _n_parts(n_mels)), ("METHOD", METHODS.index(method)))
    return Kernel("newton.cu", name, (*sizes, *rules, *counts))


def kernels() -> list[Kernel]:
    """Those of usual sizes, to be compiled without a device."""
    return [_kernel(name, n_mels, method) for name in ("newton", "newton_vjp") for method in METHODS for n_mels in (80, 128)]


def _grid(frames: int) -> tuple[int, int]:
    return -(-frames // LANES), 1


def solve(bank: Tables, method: str, peak: Tensor, mel: Tensor, prior: Tensor, weight: Tensor) -> Solved:
    """Mel and weight (1, n_mels, frames), prior (1, n_freqs, frames), frames and filters scaled to a peak of 1.

    `peak` (n_mels, 1) are the filters' own peaks. `method` is one of METHODS.
    """
    frames = mel.shape[-1]
    solved = Solved(
        torch.empty_like(prior),
        torch.empty_like(mel),
        mel.new_empty(1, 1, frames),
        torch.empty(1, 1, frames, dtype=torch.long, device=mel.device),
        torch.empty(1, 1, frames, dtype=torch.bool, device=mel.device),
    )
    if frames:
        kernel, shared = _kernel("newton", bank.n_mels, method), _shared_bytes(bank.n_mels, ARRAYS, TOTALS)
        block = LANES * _n_parts(bank.n_mels)
        given = bank.rows, bank.parts, peak, mel, prior, weight
        launch(kernel, _grid(frames), block, *given, *solved, bank.n_freqs, frames, shared_bytes=shared)
    return solved


def vjp(
    bank: Tables,
    method: str,
    prior: Tensor,
    weight: Tensor,
    spectrum: Tensor,
    multiplier: Tensor,
    softness: Tensor,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients by mel, prior and weight, from that by the spectrum; what was solved for is as in `Solved`."""
    frames = weight.shape[-1]
    back = torch.empty_like(weight), torch.empty_like(prior), torch.empty_like(weight)
    if frames:
        kernel, shared = _kernel("newton_vjp", bank.n_mels, method), _shared_bytes(bank.n_mels, 4, 1)
        block = LANES * _n_parts(bank.n_mels)
        given = bank.rows, bank.parts, prior, weight, softness, spectrum, multiplier, grad
        launch(kernel, _grid(frames), block, *given, *back, bank.n_freqs, frames, shared_bytes=shared)
    return back
