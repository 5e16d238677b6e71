"""Hertz to mel and back, in float64, on the three scales in use.

- ``htk``: m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987).
- ``kaldi``: m = 1127 ln(1 + f / 700), the same curve with Kaldi's rounded constant.
- ``slaney``: linear below 1 kHz (200/3 Hz per mel), logarithmic above, where 27 mels are a factor
  of 6.4 (Auditory Toolbox, 1998).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_SLANEY_HZ_PER_MEL = 200 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27


def _slaney_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.maximum(hz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ
    above = _SLANEY_BREAK_MEL + np.log(ratio) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_BREAK_HZ, hz / _SLANEY_HZ_PER_MEL, above)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.maximum(mel, _SLANEY_BREAK_MEL) - _SLANEY_BREAK_MEL
    above = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * steps)
    return np.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_HZ_PER_MEL, above)


# Name of the scale: (Hz to mel, mel to Hz)
_CURVES: dict[str, tuple[Curve, Curve]] = {
    "slaney": (_slaney_mel, _slaney_hz),
    "htk": (lambda hz: 2595 * np.log10(1 + hz / 700), lambda mel: 700 * (10 ** (mel / 2595) - 1)),
    "kaldi": (lambda hz: 1127 * np.log1p(hz / 700), lambda mel: 700 * np.expm1(mel / 1127)),
}


def hz_to_mel(hz: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Convert frequencies in Hz (any shape, at least 0) to mels of a scale."""
    return _CURVES[scale][0](np.asarray(hz, dtype=np.float64))


def mel_to_hz(mel: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Convert mels of a scale (any shape) to frequencies in Hz."""
    return _CURVES[scale][1](np.asarray(mel, dtype=np.float64))
