"""Fields of conventions from arguments of other libraries; errors name the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchmelinv.conventions.stft_convention import Padding, WindowName
from torchmelinv.errors import ConventionError

PAD_MODES: dict[str, Padding] = {"reflect": "center_reflect", "constant": "center_zero"}


def choose(argument: str, value: Any, allowed: Mapping[Any, Any]) -> Any:
    """Return `allowed[value]`, or raise an error that names the argument."""
    if not isinstance(value, (str, bool, type(None))) or value not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ConventionError(
            f"{argument} is {value!r}, which no convention can express; it must be one of {names}"
        )
    return allowed[value]


def padding_of(argument: str, center: bool, pad_mode: Any) -> Padding:
    """Return the padding of frames that may be centered."""
    return choose(argument, pad_mode, PAD_MODES) if center else "none"


def named_window(argument: str, values: ArrayLike, length: int) -> WindowName | tuple[float, ...]:
    """Return the name of the window with these values, or the values as a tuple.

    Periodic and symmetric Hann windows of n samples differ by about 3 / n.
    """
    try:
        samples: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConventionError(f"{argument} is {values!r}; a window must be numbers") from None
    if samples.shape != (length,):
        raise ConventionError(
            f"{argument} has shape {samples.shape}; it must be {length} numbers, one per sample"
        )
    ramp = 2 * np.pi * np.arange(samples.size)
    symmetric = 0.5 - 0.5 * np.cos(ramp / max(samples.size - 1, 1))
    windows: dict[WindowName, NDArray[np.float64]] = {
        "hann": 0.5 - 0.5 * np.cos(ramp / samples.size),
        "hann_symmetric": symmetric,
        "povey": symmetric**0.85,
    }
    for name, window in windows.items():
        if np.allclose(samples, window, rtol=0, atol=1e-6):
            return name
    return tuple(samples.tolist())
