"""How a GPU is timed: events around many calls, inputs rotated past the cache, graphs, memory.

`DryRun` has the same methods for a machine without a GPU. Its values are not measurements.
"""

from __future__ import annotations

import contextlib
import functools
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.records import Record
from torchmelinv.cuda import graphs
from torchmelinv.doctor.clock import block_times, device_block

CACHE_FACTOR = 4  # size of all inputs of an implementation, relative to the cache
MAX_SETS = 64
SAMPLING = 0.1  # seconds between two questions about the load
# Beginnings of the names of functions of the CUDA runtime and driver.
RUNTIME_CALLS = {
    "launches": ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemset"),
    "waits": ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"),
}


class Prepared(NamedTuple):
    """Jobs to time in turn, the calls in each job, and the result of each set of inputs."""

    jobs: Sequence[Callable[[], object]]
    calls: int
    result: Callable[[int], Tensor]


def n_sets(bytes_of_set: int, cache: int, memory: int) -> int:
    """Return how many sets of inputs exceed the cache several times.

    At least 2, and at most what a quarter of the memory holds.
    """
    needed = math.ceil(CACHE_FACTOR * cache / bytes_of_set)
    return max(2, min(needed, MAX_SETS, memory // (4 * bytes_of_set)))


def _eager(run: Callable[[Any], Tensor], sets: Sequence[Any]) -> Prepared:
    jobs = [lambda inputs=inputs: run(inputs) for inputs in sets]
    return Prepared(jobs, 1, lambda index: run(sets[index]))


def _runtime_calls(call: Callable[[], object]) -> Record:
    """Return the number of calls of each kind of `RUNTIME_CALLS`."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as profiler:
        call()
    events = [(event.key, event.count) for event in profiler.key_averages()]
    return {
        name: sum(count for key, count in events if key.startswith(prefixes))
        for name, prefixes in RUNTIME_CALLS.items()
    }


class Cuda:
    """One CUDA device."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.properties = torch.cuda.get_device_properties(self.device)

    def describe(self) -> Record:
        """Return the device and its bandwidth, measured: bytes that a large copy moves."""
        return {
            "name": self.properties.name,
            "multiprocessors": self.properties.multi_processor_count,
            "l2_bytes": self.properties.L2_cache_size,
            "cuda": torch.version.cuda,
            "copy_bytes_per_second": self._copy(),
        }

    def _copy(self, n_values: int = 2**29) -> float:
        source = torch.randn(n_values, device=self.device)
        target = torch.empty_like(source)
        copy = Prepared([lambda: target.copy_(source)], 1, lambda _: target)
        return 2 * 4 * n_values / statistics.median(self.seconds(copy))

    def n_sets(self, bytes_of_set: int) -> int:
        """Return the number of sets of inputs that exceed this device's cache."""
        return n_sets(bytes_of_set, self.properties.L2_cache_size, self.properties.total_memory)

    def prepare(
        self, run: Callable[[Any], Tensor], sets: Sequence[Any], graph: str | None
    ) -> Prepared:
        """Prepare a function for timing.

        `graph` is None, "each" for a graph of each call, or "chain" for a graph of the calls on all
        sets, without gaps between launches.
        """
        if graph is None:
            return _eager(run, sets)
        groups = [[inputs] for inputs in sets] if graph == "each" else [sets]
        captured = [self._capture(run, group) for group in groups]
        outputs = [(replay, output) for replay, group in captured for output in group]

        def result(index: int) -> Tensor:
            replay, output = outputs[index]
            output.fill_(torch.nan)  # shows an output that the graph does not write
            replay()
            return output.clone()

        return Prepared([replay for replay, _ in captured], len(groups[0]), result)

    def _capture(
        self, run: Callable[[Any], Tensor], group: Sequence[Any]
    ) -> tuple[Callable[[], None], list[Tensor]]:
        """Capture as cuda/graphs.py does."""
        current, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(current)
        try:
            # Plans, tables and modules are built here, because a capture cannot build them.
            with torch.cuda.stream(side_stream):
                for _ in range(2):
                    run(group[0])
            with torch.cuda.graph(graph, stream=side_stream, capture_error_mode="thread_local"):
                outputs = [run(inputs) for inputs in group]
        except RuntimeError:
            graphs.end_capture_of_random_numbers(self.device)
            raise
        finally:
            torch.cuda.set_stream(current)  # after a failed capture torch stays on the side stream
        current.wait_stream(side_stream)
        return graph.replay, outputs

    def seconds(self, prepared: Prepared) -> list[float]:
        """Return seconds of one call, block by block.

        A block has as many calls as take 2 ms; the jobs take turns.
        """
        jobs, done = prepared.jobs, 0

        def run_next() -> None:
            nonlocal done
            jobs[done % len(jobs)]()
            done += 1

        block = functools.partial(device_block, run_next)
        times = block_times(block, len(jobs))
        return [each / prepared.calls for each in times]

    def peaks(self, parts: Sequence[Callable[[], object]]) -> list[int]:
        """Return the most bytes allocated while each part runs, without those before the first."""
        torch.cuda.synchronize()
        before, peaks = torch.cuda.memory_allocated(), []
        for part in parts:
            torch.cuda.reset_peak_memory_stats()
            part()
            torch.cuda.synchronize()
            peaks.append(torch.cuda.max_memory_allocated() - before)
        return peaks

    @contextlib.contextmanager
    def watch(self) -> Iterator[Record]:
        """Return a record; when the context ends, it has the device's load and peak of memory.

        The load is the mean share of time in which a kernel ran, as the driver samples it; None
        without the package nvidia-ml-py.
        """
        use: Record = {}
        shares: list[int] = []
        done = threading.Event()

        def sample() -> None:
            with contextlib.suppress(Exception):  # no nvidia-ml-py, or no right to ask
                while not done.wait(SAMPLING):
                    shares.append(torch.cuda.utilization(self.device))

        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            yield use
        finally:
            done.set()
            sampler.join()
        torch.cuda.synchronize()
        use["busy"] = statistics.fmean(shares) / 100 if shares else None
        use["peak_bytes"] = torch.cuda.max_memory_allocated()

    def launches(self, call: Callable[[], object]) -> Record:
        """Return the number of launches of a call, and how often the host waits in it."""
        # The profiler itself waits: what it sees without a call is subtracted. At its first start
        # it does more than later, so that one does not count.
        _, idle, found = (_runtime_calls(each) for each in (lambda: None, lambda: None, call))
        return {name: found[name] - idle[name] for name in found}

    def synchronize(self) -> None:
        """Wait for the device and free cached memory; raise if an earlier error broke it."""
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


class DryRun:
    """Every path on the CPU: wall clock, no graphs, no memory statistics."""

    device = torch.device("cpu")

    def describe(self) -> Record:
        return {"name": "no GPU", "copy_bytes_per_second": math.nan}

    def n_sets(self, bytes_of_set: int) -> int:
        return 2

    def prepare(
        self, run: Callable[[Any], Tensor], sets: Sequence[Any], graph: str | None
    ) -> Prepared:
        return _eager(run, sets)

    def seconds(self, prepared: Prepared) -> list[float]:
        start = time.perf_counter()
        prepared.jobs[-1]()
        return [(time.perf_counter() - start) / prepared.calls]

    def peaks(self, parts: Sequence[Callable[[], object]]) -> list[int]:
        for part in parts:
            part()
        return []

    @contextlib.contextmanager
    def watch(self) -> Iterator[Record]:
        yield {"busy": None, "peak_bytes": None}

    def launches(self, call: Callable[[], object]) -> Record:
        call()
        return dict.fromkeys(RUNTIME_CALLS, 0)

    def synchronize(self) -> None:
        pass


Clock = Cuda | DryRun
