"""Tables of RTISI-LA: the window, the limits of its sum, and the phases of bins without signal."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.bin_angle import bin_angles, window_center
from torchmelinv.transforms.window import (
    SMALLEST_SUMSQUARE_FLOOR,
    sumsquare_floor,
    window_sumsquare,
    window_table,
)


class RTISITables(NamedTuple):
    """What one convention needs, whatever the signal."""

    convention: STFTConvention
    window: Tensor  # w, (n_fft,)
    peak: Tensor  # the largest window sum of all frames, ()
    # The least value that the window sum is taken for, (): while iterating toward a magnitude, and
    # elsewhere. Toward a magnitude the larger one costs 2 dB, toward a mel the smaller one costs 1.
    floor: Tensor
    finished_floor: Tensor
    unreached: Tensor  # phasors of bins that no signal reaches, (n_freqs,)


@functools.lru_cache(maxsize=16)
@outside_inference_mode
def rtisi_tables(
    convention: STFTConvention, dtype: torch.dtype, device: torch.device
) -> RTISITables:
    """Return the tables on the device; computed once."""
    window = window_table(convention)
    hop_length = convention.hop_length
    peak = window_sumsquare(window, hop_length).amax()
    floor, finished_floor = (
        SMALLEST_SUMSQUARE_FLOOR * peak,
        sumsquare_floor(window, hop_length) * peak,
    )
    angles = bin_angles(convention, -window_center(convention), window).clone()
    if convention.n_fft % 2 == 0:
        # Half of the sampling rate is real, and has no angle 0 at a center between two samples: its
        # sign would be chance.
        angles[-1] = (angles[-1] / math.pi).round() * math.pi
    window, peak, floor, finished_floor, cosine, sine = (
        table.to(dtype).to(device)
        for table in (window, peak, floor, finished_floor, angles.cos(), angles.sin())
    )
    unreached = torch.complex(cosine, sine)
    return RTISITables(convention, window, peak, floor, finished_floor, unreached)
