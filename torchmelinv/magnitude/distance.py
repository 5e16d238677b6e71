"""What the dual solvers need to know of a distance between a spectrum and a prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from torchmelinv.magnitude.scaled_filterbank import ScaledFilterbank

__all__ = ["Distance"]


class Distance(NamedTuple):
    """A distance D of a spectrum from a prior, as elementwise functions (…, n_freqs, n_frames).

    Args:
        weight: Maps the mel, with filters and frames scaled to a peak of 1, to the weights w > 0.
        primal: Maps the prior z and the exponent u to the spectrum s.
        slope: Maps z and s to ∂s/∂u.
        prior_slope: Maps z and s to ∂s/∂z.
        safe_step: Maps the largest |change of u| of a frame to a step length that always descends.
        ascent: Maps the filterbank, the mel and the weights to a function that maps λ and Ms(λ) to
            the next λ, of which the dual is never lower (`dual_ascent.py`).
        name: Name of the distance.

    Example:
        >>> from torchmelinv.magnitude.entropic import KULLBACK_LEIBLER
        >>> KULLBACK_LEIBLER.name
        'entropic'
    """

    weight: Callable[[Tensor], Tensor]
    primal: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    prior_slope: Callable[[Tensor, Tensor], Tensor]
    safe_step: Callable[[Tensor], Tensor]
    ascent: Callable[[ScaledFilterbank, Tensor, Tensor], Callable[[Tensor, Tensor], Tensor]]
    name: str
