"""Memory of an inversion: estimate, and budget of a batch."""

from __future__ import annotations

import torch

from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.pieces import BYTES_PER_SAMPLE

GIB = 2**30  # bytes


def bytes_per_frame(convention: STFTConvention) -> int:
    """Estimate the peak memory of an inversion.

    Args:
        convention: The convention of the mels.

    Returns:
        Bytes for each padded frame of a batch.
    """
    return BYTES_PER_SAMPLE * convention.n_fft


def default_budget(device: torch.device) -> int:
    """Return the memory that a batch may use.

    Args:
        device: Where the batch is computed.

    Returns:
        Bytes: half of the free memory of a CUDA device, 1 GiB elsewhere.
    """
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else GIB
