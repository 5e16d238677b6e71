"""Memory of an inversion: estimate, and budget of a batch."""

from __future__ import annotations

import torch

from torchmelinv._utils.available_memory import available_memory
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
        Bytes: half of the free memory of a CUDA device; elsewhere 1 GiB, or half of what is
        available if that is less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return int(min(GIB, available_memory() / 2))


def lack_of_memory(n_bytes: int, device: torch.device) -> str | None:
    """Return why an inversion of so many bytes is not tried, or None.

    On the CPU the system may end the process that fills its memory; a device raises an error.
    """
    if device.type != "cpu" or n_bytes <= GIB or n_bytes <= (available := available_memory()):
        return None
    return (
        f"inverting this mel takes about {n_bytes / 1e9:.3g} GB of memory and "
        f"{available / 1e9:.3g} GB are available; split it into shorter mels"
    )
