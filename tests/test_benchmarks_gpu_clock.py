"""The clock of the GPU benchmark, with the device replaced by a fake."""

from __future__ import annotations

import time
import types
from unittest import mock

import pytest
import torch

from benchmarks import gpu_clock
from torchmelinv.doctor import clock


class FakeEvent(mock.MagicMock):
    def record(self):
        self.at = time.perf_counter()

    def elapsed_time(self, end):
        return 1000 * (end.at - self.at)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> gpu_clock.Cuda:
    """Return a clock without a device: graphs capture nothing and replay nothing."""
    made = object.__new__(gpu_clock.Cuda)
    made.device = torch.device("cpu")
    names = ("Stream", "CUDAGraph", "current_stream", "stream", "graph", "set_stream")
    for name in (*names, "synchronize"):
        monkeypatch.setattr(torch.cuda, name, mock.MagicMock())
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 100)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 300)
    return made


def test_sets_of_inputs_exceed_the_cache():
    assert gpu_clock.n_sets(10, cache=60, memory=10_000) == 24
    assert gpu_clock.n_sets(1000, cache=60, memory=10**6) == 2
    assert gpu_clock.n_sets(1, cache=10**6, memory=10**9) == gpu_clock.MAX_SETS
    assert gpu_clock.n_sets(10**6, cache=10**8, memory=3 * 10**7) == 7


def test_inputs_take_turns_in_long_blocks(cuda: gpu_clock.Cuda, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clock, "ENOUGH", 0.01)
    order: list[int] = []
    jobs = [lambda i=i: (order.append(i), time.sleep(2e-4)) for i in range(3)]
    seconds = cuda.seconds(gpu_clock.Prepared(jobs, 2, lambda _: torch.ones(1)))
    assert order[:7] == [0, 1, 2, 0, 1, 2, 0]
    assert len(seconds) >= clock.MIN_BLOCKS
    assert min(seconds) >= 1e-4  # two calls per job
    assert cuda._copy(1000) > 0
    assert cuda.peaks([lambda: None, lambda: None]) == [200, 200]


def test_a_graph_that_writes_nothing_returns_nan(cuda: gpu_clock.Cuda):
    sets = [torch.ones(2), torch.full((2,), 2.0), torch.full((2,), 3.0)]
    for graph, jobs, calls in ((None, 3, 1), ("each", 3, 1), ("chain", 1, 3)):
        prepared = cuda.prepare(lambda x: 2 * x, sets, graph)
        assert (len(prepared.jobs), prepared.calls) == (jobs, calls)
        for index, inputs in enumerate(sets):
            result = prepared.result(index)
            assert torch.equal(result, 2 * inputs) if graph is None else result.isnan().all()
    torch.cuda.graph.assert_called_with(
        torch.cuda.CUDAGraph.return_value,
        stream=torch.cuda.Stream.return_value,
        capture_error_mode="thread_local",
    )


def test_load_and_peak_are_those_of_the_context(
    cuda: gpu_clock.Cuda, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gpu_clock, "SAMPLING", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 50)
    with cuda.watch() as use:
        time.sleep(0.1)
    assert use == {"busy": 0.5, "peak_bytes": 300}


def test_without_nvml_the_load_is_not_known(cuda: gpu_clock.Cuda, monkeypatch: pytest.MonkeyPatch):
    def refuse(_):
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(gpu_clock, "SAMPLING", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    with cuda.watch() as use:
        time.sleep(0.05)
    assert use == {"busy": None, "peak_bytes": 300}


def test_calls_of_the_profiler_itself_do_not_count(
    cuda: gpu_clock.Cuda, monkeypatch: pytest.MonkeyPatch
):
    counts = [
        {"cudaDeviceSynchronize": 5},
        {"cudaDeviceSynchronize": 2},
        {"cudaDeviceSynchronize": 2, "cudaLaunchKernel": 7, "cuLaunchKernelEx": 1, "aten::add": 7}
        | {"cudaMemcpyAsync": 3, "cudaStreamSynchronize": 1},
    ]

    class Profiler:
        def __init__(self, activities):
            self.counts = counts.pop(0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def key_averages(self):
            return [types.SimpleNamespace(key=key, count=n) for key, n in self.counts.items()]

    monkeypatch.setattr(torch.profiler, "profile", Profiler)
    assert cuda.launches(lambda: None) == {"launches": 11, "waits": 1}
