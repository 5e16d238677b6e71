"""De-emphasis: the inverse of pre-emphasis."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad


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
