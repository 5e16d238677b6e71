"""How calls are timed, and two contexts that show what a kernel leaves undone."""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from torchmelinv.cuda import graphs, nvrtc

BLOCK = 2e-3  # least seconds of one block of calls
WARM_UP, ENOUGH = 0.05, 0.4  # seconds before the first block, and of all blocks
MIN_BLOCKS, MAX_BLOCKS = 10, 200

Call = Callable[[], object]


class UninitializedIsNaN(TorchFunctionMode):
    """Fill what `torch.empty` and the like return with NaN, so that unwritten values show.

    torch's deterministic mode does that too, but chooses other algorithms; here the checks run what
    is timed.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in (torch.empty, torch.empty_like, Tensor.new_empty) and (
            result.is_floating_point() or result.is_complex()
        ):
            result.detach().fill_(torch.nan)
        return result


@contextlib.contextmanager
def launched_kernels() -> Iterator[set[str]]:
    """Collect the names of torchmelinv's kernels that are launched inside the context."""
    names: set[str] = set()
    original = nvrtc._function

    def noted(kernel: nvrtc.Kernel, *rest: int) -> Any:
        names.add(kernel.name)
        return original(kernel, *rest)

    with mock.patch.object(nvrtc, "_function", noted):
        yield names


def device_block(call: Call, count: int) -> float:
    """Return the seconds of some calls on the current CUDA device, between two events."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000


def _host_block(call: Call, count: int) -> float:
    """Return the seconds of some calls on the CPU."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def block_times(block: Callable[[int], float], count: int) -> list[float]:
    """Return the seconds of one call, block by block.

    Args:
        block: Makes some calls and returns their seconds.
        count: Number of calls in the blocks of the warm-up; all others take at least 2 ms.

    Returns:
        The seconds of one call in each block.
    """
    start, per_call = time.perf_counter(), 0.0
    while not per_call or time.perf_counter() - start < WARM_UP:
        per_call = block(count) / count
    count = max(1, math.ceil(BLOCK / max(per_call, 1e-7)))
    times: list[float] = []
    while len(times) < MIN_BLOCKS or (sum(times) * count < ENOUGH and len(times) < MAX_BLOCKS):
        times.append(block(count) / count)
    return times


def call_seconds(call: Call, device: torch.device) -> float:
    """Return the median seconds of a call."""
    block = device_block if device.type == "cuda" else _host_block
    return statistics.median(block_times(functools.partial(block, call), 1))


def captured(call: Callable[[], tuple[Tensor, ...]], device: torch.device) -> Call:
    """Return the call as a CUDA graph, which leaves out the time to launch; on the CPU the call."""
    if device.type != "cuda":
        return call
    return graphs.capture(lambda _: call(), (torch.zeros(1, device=device),), call).replay
