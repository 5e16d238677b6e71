"""How much memory an inversion takes, how much there is for a batch, and how to tell that it was too little."""

from __future__ import annotations

import torch

from torchmelinv.conventions import FrameConvention

# Bytes for each frame and sample of its Fourier transform. Measured on the CPU at 75 % overlap: 101 to 135, by convention.
BYTES = 160
GIB = 2**30


def bytes_per_frame(convention: FrameConvention) -> int:
    """Roughly what a batch takes at its peak for each of its (padded) frames."""
    return BYTES * convention.n_fft


def usual_budget(device: torch.device) -> int:
    """Bytes for a batch: 1 GiB, or half of what is free on a GPU."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else GIB


def out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error means; torch's CPU allocator says it in words only."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
