"""How a GPU is timed: events around many calls, inputs rotated past the cache, graphs, peaks of memory, poisoned outputs.

`Rehearsal` has the same methods for a machine without one. What it gives are no measurements.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from benchmarks.common import Record
from torchmelinv.ops import nvrtc

ROTATED = 4  # times the cache, the inputs that a contender goes through
MOST_SETS = 64
BLOCK = 2e-3  # seconds between two events, at least
WARM_UP, ENOUGH = 0.05, 0.4  # seconds before the first block, and of all blocks
LEAST_BLOCKS, MOST_BLOCKS = 10, 200


class Prepared(NamedTuple):
    """What is timed: jobs to go through in turn, each as many calls as `calls`, and the results of each set of inputs."""

    jobs: Sequence[Callable[[], object]]
    calls: int
    result: Callable[[int], Tensor]


def n_sets(bytes_of_one: int, cache: int, memory: int) -> int:
    """How many sets of inputs exceed the cache several times; at least 2, in a quarter of the memory."""
    wanted = math.ceil(ROTATED * cache / bytes_of_one)
    return max(2, min(wanted, MOST_SETS, memory // (4 * bytes_of_one)))


class Poisoned(TorchFunctionMode):
    """What `torch.empty` and its like give holds NaN, so that a value which nobody wrote shows itself.

    torch's own deterministic mode does that too, but chooses other algorithms; here what is checked is what is timed.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in (torch.empty, torch.empty_like, Tensor.new_empty) and (made.is_floating_point() or made.is_complex()):
            made.detach().fill_(torch.nan)
        return made


@contextlib.contextmanager
def launched() -> Iterator[set[str]]:
    """The names of this project's kernels that are launched inside."""
    names: set[str] = set()
    original = nvrtc._function

    def noted(kernel: nvrtc.Kernel, *rest: int) -> Any:
        names.add(kernel.name)
        return original(kernel, *rest)

    with mock.patch.object(nvrtc, "_function", noted):
        yield names


def _eager(run: Callable[[Any], Tensor], sets: Sequence[Any]) -> Prepared:
    return Prepared([lambda one=one: run(one) for one in sets], 1, lambda index: run(sets[index]))


class Cuda:
    """One CUDA device."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.properties = torch.cuda.get_device_properties(self.device)

    def describe(self) -> Record:
        """The device, and the ceiling as measured just now: a large copy, bytes read and written."""
        return {
            "name": self.properties.name,
            "multiprocessors": self.properties.multi_processor_count,
            "l2_bytes": self.properties.L2_cache_size,
            "cuda": torch.version.cuda,
            "copy_bytes_per_second": self._copy(),
        }

    def _copy(self, values: int = 2**29) -> float:
        source = torch.randn(values, device=self.device)
        to = torch.empty_like(source)
        seconds = statistics.median(self.seconds(Prepared([lambda: to.copy_(source)], 1, lambda _: to)))
        return 2 * 4 * values / seconds

    def n_sets(self, bytes_of_one: int) -> int:
        return n_sets(bytes_of_one, self.properties.L2_cache_size, self.properties.total_memory)

    def prepared(self, run: Callable[[Any], Tensor], sets: Sequence[Any], graph: str | None) -> Prepared:
        """`graph`: None, or a graph of `each` call, or one of the `chain` of all calls (no gaps between launches)."""
        if graph is None:
            return _eager(run, sets)
        groups = [[one] for one in sets] if graph == "each" else [sets]
        recorded = [self._recorded(run, group) for group in groups]
        outputs = [(replay, output) for replay, group in recorded for output in group]

        def result(index: int) -> Tensor:
            replay, output = outputs[index]
            output.fill_(torch.nan)  # so that an output which the graph does not write shows itself
            replay()
            return output.clone()

        return Prepared([replay for replay, _ in recorded], len(groups[0]), result)

    def _recorded(self, run: Callable[[Any], Tensor], group: Sequence[Any]) -> tuple[Callable[[], None], list[Tensor]]:
        """As the library records its own, see ops/graphs.py."""
        current, beside, graph = torch.cuda.current_stream(), torch.cuda.Stream(), torch.cuda.CUDAGraph()
        beside.wait_stream(current)
        try:
            with torch.cuda.stream(beside):  # plans, tables and modules are made here, for that cannot be recorded
                for _ in range(2):
                    run(group[0])
            with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
                outputs = [run(one) for one in group]
        finally:
            torch.cuda.set_stream(current)  # where recording fails, torch stays on its own stream
        current.wait_stream(beside)
        return graph.replay, outputs

    def seconds(self, prepared: Prepared) -> list[float]:
        """Of one call, block by block. A block is as many calls as take 2 ms; the jobs take turns."""
        jobs, done = prepared.jobs, 0

        def block(count: int) -> float:
            nonlocal done
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(count):
                jobs[done % len(jobs)]()
                done += 1
            end.record()
            end.synchronize()
            return start.elapsed_time(end) / 1000

        began, count, one = time.perf_counter(), len(jobs), 0.0
        while not one or time.perf_counter() - began < WARM_UP:
            one = block(count) / count
        count = max(1, math.ceil(BLOCK / max(one, 1e-7)))
        times: list[float] = []
        while len(times) < LEAST_BLOCKS or (sum(times) * count < ENOUGH and len(times) < MOST_BLOCKS):
            times.append(block(count) / count)
        return [each / prepared.calls for each in times]

    def peaks(self, parts: Sequence[Callable[[], object]]) -> list[int]:
        """Bytes allocated at most while each of the parts runs, above what was before the first."""
        torch.cuda.synchronize()
        before, found = torch.cuda.memory_allocated(), []
        for part in parts:
            torch.cuda.reset_peak_memory_stats()
            part()
            torch.cuda.synchronize()
            found.append(torch.cuda.max_memory_allocated() - before)
        return found

    def settle(self) -> None:
        """Wait for what is under way, and give back what nobody uses. Raises where an earlier error broke the context."""
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


class Rehearsal:
    """Every path on the processor: wall clock, no graphs, no counts of memory."""

    device = torch.device("cpu")

    def describe(self) -> Record:
        return {"name": "no GPU", "copy_bytes_per_second": math.nan}

    def n_sets(self, bytes_of_one: int) -> int:
        return 2

    def prepared(self, run: Callable[[Any], Tensor], sets: Sequence[Any], graph: str | None) -> Prepared:
        return _eager(run, sets)

    def seconds(self, prepared: Prepared) -> list[float]:
        start = time.perf_counter()
        prepared.jobs[-1]()
        return [(time.perf_counter() - start) / prepared.calls]

    def peaks(self, parts: Sequence[Callable[[], object]]) -> list[int]:
        for part in parts:
            part()
        return []

    def settle(self) -> None:
        pass


Clock = Cuda | Rehearsal
