"""From complex spectra to the input of the filterbank, and back to magnitudes.

With a complex spectrum c and a convention's offset, floor and power, the filterbank sees

    s = max(|c|² + offset, floor)^(power / 2).
"""

from __future__ import annotations

from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv.conventions import MelConvention

_LARGEST_SQUARE = 1e36  # of a magnitude


def power_spectrum(spectrum: Tensor) -> Tensor:
    """Return |c|² of complex c, with a finite gradient everywhere."""
    return spectrum.real.square() + spectrum.imag.square()


def safe_abs(spectrum: Tensor) -> Tensor:
    """Return |c| of complex c; a zero passes a zero gradient."""
    return safe_pow(power_spectrum(spectrum), 0.5)


def filterbank_input(power: Tensor, convention: MelConvention) -> Tensor:
    """Return s, the input of the convention's filterbank, from the power spectrum |c|²."""
    power = power + convention.magnitude_offset
    if convention.magnitude_floor > 0:
        power = power.clamp(min=convention.magnitude_floor)
    return safe_pow(power, convention.power / 2)


def remove_offset(spectrum: Tensor, convention: MelConvention) -> Tensor:
    """Return the magnitude |c| from the filterbank's input s: the inverse of `filterbank_input`.

    Where the result is 0, its gradient is 0: the square root has no finite slope there.
    """
    spectrum = spectrum.relu()
    if convention.power == 1 and convention.magnitude_offset == 0:
        return spectrum
    # A spectrum that was found for a checkered mel can exceed any sound's, and a small power of it
    # then float32.
    squared = safe_pow(spectrum, 2 / convention.power).clamp(max=_LARGEST_SQUARE)
    return safe_pow(squared - convention.magnitude_offset, 0.5)
