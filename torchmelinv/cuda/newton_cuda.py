"""The entropic and the least-distance filterbank inverse as one CUDA kernel, from mel to spectrum.

The reference in plain torch is `solve_dual` in `magnitude/dual_newton.py`; the results agree to
float32 rounding. The kernel differs in three points. It computes the exponent u = Mᵀλ from λ
instead of summing it up over the steps, and λ therefore has two floats. The slope along a step Δ is
Σ Δ_k g_k over bands, not a sum over bins. And it eliminates the tridiagonal system in order, from
both ends, which is backward stable for a positive definite matrix: no refinement is needed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.cuda.nvrtc import Kernel, launch, max_shared_bytes

# Name of a `Distance` -> METHOD in kernels/newton.cuh.
METHODS = {"entropic": 0, "least_distance": 1}
LANES, CHUNK = 32, 8  # frames of a block; bins that the kernel loads in advance
# Values of each frame in shared memory: of every band, and of every part.
BAND_VALUES, PART_VALUES = 6, 6
MAX_PARTS = 6  # warps that share the bins of a frame
BAND_COST, BIN_COST = 100, 40  # instructions, approximately

# The rules of the Newton iteration, which `dual_newton.py` uses too.
HARD_RHO, SOFT_RHO = 1e-7, 1e-3  # ρ for a mel that some spectrum has, and for one that none has
HARD_RESIDUAL = 1e-4  # ‖Ms − m‖ / ‖m‖ above which no spectrum has the mel
N_TRIALS = 8  # step lengths in one line search
HARD_STEPS, SOFT_STEPS = 25, 50
TOLERANCE = 0.01 * torch.finfo(torch.float32).eps ** 0.5


class Tables(NamedTuple):
    """One filterbank, with every filter scaled to a peak of 1, in the layout of the kernels."""

    # Of a bin: its weight in its lower band and in the next one, bands to advance before it, 0;
    # (bins padded to whole chunks, 4).
    rows: Tensor
    # First row, bin and band of the part of each warp, and the end of the last part; (parts + 1, 3)
    # int32. Bins before the first and after the last one that any filter covers are in no part.
    parts: Tensor
    n_freqs: int
    n_mels: int


class NewtonResult(NamedTuple):
    """The solution of each frame."""

    spectrum: Tensor  # (1, n_freqs, frames)
    multiplier: Tensor  # λ, (1, n_mels, frames)
    rho: Tensor  # ρ, (1, 1, frames)
    n_iter: Tensor  # (1, 1, frames)
    converged: Tensor  # (1, 1, frames)


def _lower_bands(matrix: Tensor) -> list[int] | None:
    """Return a band for each bin, in rising order, or None if there are no such bands.

    A bin must feed no other band than this one and the next.
    """
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


def _shared_bytes(n_mels: int, band_values: int, part_values: int) -> int:
    parts = _n_parts(n_mels)
    return 4 * LANES * (band_values * n_mels + (2 + part_values) * parts + 9)


def _n_parts(n_mels: int) -> int:
    return min(MAX_PARTS, n_mels)


def unsupported_reason(matrix: Tensor) -> str | None:
    """Return why the kernels cannot use a filterbank (n_mels, n_freqs), or None if they can.

    Reads the values on the host.
    """
    if _shared_bytes(len(matrix), BAND_VALUES, PART_VALUES) > max_shared_bytes(matrix.device):
        return f"{len(matrix)} filters are more than a block's shared memory holds"
    if _lower_bands(matrix) is None:
        return (
            "the kernel is for filters in the order of their bins, of which at most two neighbors "
            "share a bin"
        )
    return None


def unsupported_method(method: str) -> str | None:
    """Return why no kernel computes a method, by the name of its distance, or None if one does."""
    return None if method in METHODS else f"there is no kernel for the distance {method!r}"


def tables(matrix: Tensor) -> Tables:
    """Build the tables of a matrix (n_mels, n_freqs) with peaks of 1, once per filterbank.

    Reads the values on the host.

    Args:
        matrix: The filterbank, for which `unsupported_reason` is None.

    Returns:
        The tables.

    Raises:
        ValueError: If the kernels cannot use the filterbank.
    """
    n_mels, n_freqs = matrix.shape
    bands = _lower_bands(matrix)
    if bands is None:
        raise ValueError(unsupported_reason(matrix))
    weights = torch.cat([matrix, torch.zeros_like(matrix[:1])]).cpu()
    bins = [0] * n_mels  # of each band
    covered = matrix.any(0).nonzero().flatten().tolist() or [-1]
    for band in bands[covered[0] : covered[-1] + 1]:
        bins[band] += 1
    n_parts = _n_parts(n_mels)
    costs = [BAND_COST + BIN_COST * count for count in bins]
    total_costs = torch.tensor(costs, dtype=torch.float64).cumsum(0)
    rows: list[list[float]] = []
    parts = []
    first_bin, first_band = max(covered[0], 0), 0
    for part in range(n_parts):
        parts.append([len(rows), first_bin, first_band])
        # As near to an equal share of the cost as whole bands allow, with at least one band for
        # this part and for each later one.
        share = total_costs[-1] * (part + 1) / n_parts - total_costs[0] / 2
        last_band = int(torch.searchsorted(total_costs, share)) + 1
        last_band = min(max(last_band, first_band + 1), n_mels - (n_parts - 1 - part))
        if part == n_parts - 1:
            last_band = n_mels
        band = first_band
        n_bins = sum(bins[first_band:last_band])
        for bin in range(first_bin, first_bin + n_bins):
            low, high = weights[bands[bin] : bands[bin] + 2, bin].tolist()
            rows.append([low, high, bands[bin] - band, 0])
            band = bands[bin]
        first_bin += n_bins
        first_band = last_band
        rows += [[0.0] * 4] * (-len(rows) % CHUNK)
    parts.append([len(rows), first_bin, first_band])
    parts_table = torch.tensor(parts, dtype=torch.int32).to(matrix.device)
    return Tables(matrix.new_tensor(rows), parts_table, n_freqs, n_mels)


def _kernel(name: str, n_mels: int, method: str) -> Kernel:
    rules = (
        ("HARD_RHO", HARD_RHO),
        ("SOFT_RHO", SOFT_RHO),
        ("HARD_RESIDUAL", HARD_RESIDUAL),
        ("TOLERANCE", TOLERANCE),
    )
    counts = (("HARD_STEPS", HARD_STEPS), ("SOFT_STEPS", SOFT_STEPS), ("N_TRIALS", N_TRIALS))
    sizes = (("N_MELS", n_mels), ("PARTS", _n_parts(n_mels)), ("METHOD", METHODS[method]))
    return Kernel("newton.cu", name, (*sizes, *rules, *counts))


def kernels() -> list[Kernel]:
    """Return the kernels of usual sizes, to compile them without a device."""
    return [
        _kernel(name, n_mels, method)
        for name in ("newton", "newton_vjp")
        for method in METHODS
        for n_mels in (80, 128)
    ]


def _grid(frames: int) -> tuple[int, int]:
    return -(-frames // LANES), 1


def solve(
    filterbank: Tables, method: str, peak: Tensor, mel: Tensor, prior: Tensor, weight: Tensor
) -> NewtonResult:
    """Solve all frames, with frames and filters scaled to a peak of 1.

    Args:
        filterbank: The tables of the filterbank.
        method: One of METHODS.
        peak: The peaks of the filters before scaling, (n_mels, 1).
        mel: Mel (1, n_mels, frames).
        prior: Prior (1, n_freqs, frames).
        weight: Weights of the mel error, (1, n_mels, frames).

    Returns:
        The solution of each frame.
    """
    n_mels, frames = filterbank.n_mels, mel.shape[-1]
    result = NewtonResult(
        torch.empty_like(prior),
        torch.empty_like(mel),
        mel.new_empty(1, 1, frames),
        torch.empty(1, 1, frames, dtype=torch.long, device=mel.device),
        torch.empty(1, 1, frames, dtype=torch.bool, device=mel.device),
    )
    if frames:
        kernel, block = _kernel("newton", n_mels, method), LANES * _n_parts(n_mels)
        inputs = filterbank.rows, filterbank.parts, peak, mel, prior, weight
        sizes, shared = (
            (filterbank.n_freqs, frames),
            _shared_bytes(n_mels, BAND_VALUES, PART_VALUES),
        )
        launch(kernel, _grid(frames), block, *inputs, *result, *sizes, shared_bytes=shared)
    return result


def vjp(
    filterbank: Tables,
    method: str,
    prior: Tensor,
    weight: Tensor,
    spectrum: Tensor,
    multiplier: Tensor,
    rho: Tensor,
    grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients with respect to mel, prior and weight, from that of the spectrum.

    `prior` and `weight` are those of `solve`, and `spectrum`, `multiplier` and `rho` its result.
    """
    n_mels, frames = filterbank.n_mels, weight.shape[-1]
    grads = torch.empty_like(weight), torch.empty_like(prior), torch.empty_like(weight)
    if frames:
        kernel, block = _kernel("newton_vjp", n_mels, method), LANES * _n_parts(n_mels)
        tables = filterbank.rows, filterbank.parts
        inputs = prior, weight, rho, spectrum, multiplier, grad
        sizes, shared = (filterbank.n_freqs, frames), _shared_bytes(n_mels, 4, 1)
        launch(kernel, _grid(frames), block, *tables, *inputs, *grads, *sizes, shared_bytes=shared)
    return grads
