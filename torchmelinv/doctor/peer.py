"""torchaudio's Griffin-Lim, to compare times with."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.conventions import STFTConvention


@functools.lru_cache(maxsize=8)
def _hann(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, dtype=dtype, device=device)


def torchaudio_griffin_lim(
    convention: STFTConvention, n_iter: int, momentum: float
) -> Callable[[Tensor], Tensor]:
    """Return a function of magnitudes (items, n_freqs, frames) with a Hann window.

    The momentum m of torchaudio means m / (1 + m), see phase/griffin_lim.py.
    """
    functional = require("torchaudio").functional
    n_fft = convention.n_fft
    sizes = (n_fft, convention.hop_length, n_fft)

    def run(magnitude: Tensor) -> Tensor:
        window = _hann(n_fft, magnitude.dtype, magnitude.device)
        waveform: Tensor = functional.griffinlim(
            magnitude, window, *sizes, 1.0, n_iter, momentum, None, False
        )
        return waveform

    return run
