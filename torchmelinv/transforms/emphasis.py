"""De-emphasis: the inverse of pre-emphasis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.table_cache import to_device


def de_emphasize(signal: Tensor, coefficient: float) -> Tensor:
    """Undo y[n] = x[n] − coefficient · x[n − 1] along the last dimension.

    The impulse response of the inverse is coefficient^n. Sums of it over 1, 2, 4, … samples take
    log2(n) shifted adds. They end where coefficient^n drops below the precision of the dtype.
    """
    if coefficient == 0:
        return signal
    memory = math.log(torch.finfo(signal.dtype).eps / 8) / math.log(coefficient)
    reach, gain = 1, coefficient
    while reach < min(signal.shape[-1], memory):
        signal = signal + gain * pad(signal, (reach, 0))[..., : signal.shape[-1]]
        reach, gain = 2 * reach, gain * gain
    return signal


def de_emphasize_next(signal: Tensor, previous: Tensor, coefficient: float, start: int) -> Tensor:
    """Undo the pre-emphasis of the samples of a waveform that follow those of another call.

    Args:
        signal: The next samples, (items, n).
        previous: The de-emphasized samples before, (items, n).
        coefficient: The coefficient of the pre-emphasis.
        start: Index of the first sample in the waveform; negative in the padding, which is not part
            of it.

    Returns:
        De-emphasized samples, (items, n).
    """
    if coefficient == 0:
        return signal
    if start < 0:
        signal = signal.clone()
        signal[:, :-start] = 0
    decay = coefficient ** torch.arange(1, signal.shape[-1] + 1, dtype=torch.float64)
    decay = to_device(decay, previous.dtype, previous.device)
    return de_emphasize(signal, coefficient) + previous[:, -1:] * decay
