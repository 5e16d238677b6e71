"""The non-negative spectrum with a given mel that is nearest to an envelope in the Euclidean sense.

    min_s  ½ ‖s − z‖² + ‖Ms − m‖² / (2 ρ),    s ≥ 0,

with ρ = 1e-7, or 1e-3 if no spectrum has the mel. The solution is s = max(0, z + Mᵀλ): unique, and
differentiable wherever no bin is just about to vanish. With z = 0 it is the non-negative spectrum
of least energy (least distance programming, Lawson and Hanson 1974). The dual is piecewise
quadratic and Newton's method on it semismooth (Qi and Sun 1993). Undamped it cycles on some frames;
with the line search of `dual_newton.py` it does not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.precision import full_precision
from torchmelinv.magnitude.distance import Distance
from torchmelinv.magnitude.dual_newton import DualSolution, nearest_spectrum, solve_dual
from torchmelinv.magnitude.scaled_filterbank import ScaledFilterbank
from torchmelinv.transforms.mel_filterbank import MelFilterbank

__all__ = ["least_distance", "least_distance_solve"]


def _active(prior: Tensor, spectrum: Tensor) -> Tensor:
    """Return 1 where the spectrum is positive, else 0."""
    return (spectrum > 0).to(spectrum.dtype)


def _ascent(M: ScaledFilterbank, mel: Tensor, weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Return λ, Ms ↦ λ + (M Mᵀ)⁻¹ (m − Ms)."""
    return lambda multiplier, linear_mel: multiplier + M.gram_inverse @ (mel - linear_mel)


EUCLIDEAN = Distance(
    primal=lambda prior, exponent: (prior + exponent).relu_(),
    weight=torch.ones_like,
    slope=_active,
    prior_slope=_active,
    safe_step=lambda change: torch.full_like(change, 0.01),
    ascent=_ascent,
    name="least_distance",
)


@full_precision
def least_distance_solve(
    linear_mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None
) -> DualSolution:
    """Like `least_distance`, but return the diagnostics of each frame, too.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames), at least 0.
        filterbank: The mel filterbank.
        prior: Envelope z (…, n_freqs, n_frames), at least 0. Default: the `transpose` of the mel.

    Returns:
        The spectrum with the steps, the residual and the convergence of each frame.

    Raises:
        InputError: If the mel has another shape or dtype.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - prior: (…, n_freqs, n_frames)
        - output: (…, n_freqs, n_frames), and (…, n_frames) for each diagnostic

    References:
        C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", Prentice-Hall, 1974.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.least_distance import least_distance_solve
        >>> filterbank = tmi.MelFilterbank("hifigan_22k")
        >>> solution = least_distance_solve(torch.rand(80, 4), filterbank)
        >>> solution.n_iter.shape
        torch.Size([4])
    """
    return solve_dual(linear_mel, filterbank, EUCLIDEAN, prior)


@full_precision
def least_distance(
    linear_mel: Tensor, filterbank: MelFilterbank, prior: Tensor | None = None
) -> Tensor:
    """Find the spectrum with the mel that has the least Euclidean distance to a prior.

    Some mels belong only to spectra with many empty bins, at the edge of the reach of this
    distance: on speech up to one frame in fifty keeps a residual of 1e-4 to 1e-2, which
    `least_distance_solve` reports. Scaling the mel scales the result, and frames and items are
    independent. The cost and the gradient are as for `entropic`; a bin of 0 passes no gradient.

    Args:
        linear_mel: Linear mel (…, n_mels, n_frames), at least 0.
        filterbank: The mel filterbank.
        prior: Envelope z (…, n_freqs, n_frames), at least 0. Default: the `transpose` of the mel.

    Returns:
        Linear spectrogram |STFT|^power (…, n_freqs, n_frames), at least 0.

    Raises:
        InputError: If the mel has another shape or dtype.

    Shape:
        - linear_mel: (…, n_mels, n_frames)
        - prior: (…, n_freqs, n_frames)
        - output: (…, n_freqs, n_frames)

    References:
        C. L. Lawson and R. J. Hanson, "Solving Least Squares Problems", Prentice-Hall, 1974.

        L. Qi and J. Sun, "A nonsmooth version of Newton's method", Mathematical Programming 58,
        1993.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> from torchmelinv.magnitude.least_distance import least_distance
        >>> filterbank = tmi.MelFilterbank("hifigan_22k")
        >>> least_distance(torch.rand(80, 4), filterbank).shape
        torch.Size([513, 4])
    """
    return nearest_spectrum(linear_mel, filterbank, EUCLIDEAN, prior)[0]
