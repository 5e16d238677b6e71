"""The real checks on tiny inputs, with the host's emulation of kernels in place of a device."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch

from tests.host_cuda import HostKernels
from torchmelinv.cuda import nvrtc
from torchmelinv.doctor.check import Check, Trial
from torchmelinv.doctor.kernel_checks import Scale, kernel_checks

TINY = Scale(seconds=0.1, batches=(1, 2))
NAMES = ("magnitude step by pairs of frames", "spsi")


def _trials(check: Check, device: torch.device) -> Iterator[Trial]:
    """Install the emulation in the process that runs the check, and only there."""
    host = HostKernels()
    nvrtc._function = lambda kernel, device, shared_bytes: kernel
    nvrtc._start, nvrtc._pack, nvrtc.DEVICE = host.start, host.pack, "cpu"
    yield from check.trials(device)


def checks() -> list[Check]:
    """Return some checks."""
    return [
        check._replace(trials=functools.partial(_trials, check))
        for check in kernel_checks(TINY)
        if check.name in NAMES
    ]
