"""Which computations are recorded and kept. Recording itself needs a device: the last test."""

from __future__ import annotations

import contextlib

import pytest
import torch

from tests.host_cuda import stand_in
from torchmelinv.ops import graphs
from torchmelinv.ops.graphs import replayed, worth_recording


@pytest.fixture(autouse=True)
def _forget():
    graphs.forget()
    yield
    graphs.forget()


@pytest.fixture
def recorded(monkeypatch):
    """Recording without a device. Gives the list of what was to be held."""
    made = []

    def record(function, tensors, holds):
        made.append(holds)
        return stand_in(function, tensors, holds)

    monkeypatch.setattr(graphs, "_record", record)
    return made


def double(*tensors):
    return tuple(2 * tensor for tensor in tensors)


def test_a_graph_is_made_the_second_time_and_results_stay_the_callers(recorded):
    results = []
    for number in range(4):
        (found,) = replayed("double", double, torch.full((3,), float(number)), holds="held")
        results.append(found)
        assert recorded == ["held"] * min(number, 1)
    assert [float(result[0]) for result in results] == [0, 2, 4, 6]


def test_another_shape_dtype_or_key_is_another_graph(recorded):
    for _ in range(2):
        replayed("a", double, torch.zeros(3))
        replayed("a", double, torch.zeros(4))
        replayed("a", double, torch.zeros(3, dtype=torch.float64))
        replayed("b", double, torch.zeros(3))
    assert len(recorded) == 4


def test_the_least_used_goes(recorded):
    for key in range(graphs.KEPT + 1):
        replayed(key, double, torch.zeros(1))
        replayed("often", double, torch.zeros(1))
    assert len(graphs._graphs) == graphs.KEPT
    assert len(recorded) == 1
    replayed(0, double, torch.zeros(1))
    assert len(recorded) == 1, "the first was forgotten, so this is its first time again"


def test_the_processor_has_nothing_to_record():
    assert not worth_recording(torch.zeros(3))


class _FakeCuda:
    """What recording asks of torch.cuda; notes in which order."""

    def __init__(self, monkeypatch) -> None:
        self.said = []
        self.now = "current"
        stream = type("Stream", (), {"wait_stream": lambda _, other: self.said.append("wait"), "cuda_stream": 1})
        self.beside, self.current = stream(), stream()
        fake = {
            "current_stream": lambda *_: self.current, "Stream": lambda *_: self.beside, "CUDAGraph": _Graph,
            "stream": lambda stream: self._within("stream"), "device": lambda device: self._within("device"),
            "graph": self._graph, "set_stream": lambda stream: self.said.append("back" if stream is self.current else "wrong"),
        }  # fmt: skip
        for name, value in fake.items():
            monkeypatch.setattr(torch.cuda, name, value)

    @contextlib.contextmanager
    def _within(self, what):
        self.said.append(what)
        yield

    @contextlib.contextmanager
    def _graph(self, graph, stream, capture_error_mode):
        assert stream is self.beside
        assert capture_error_mode == "thread_local"
        self.said.append("graph")
        yield


class _Graph:
    def replay(self) -> None:
        pass


def test_it_is_recorded_on_a_stream_beside_after_a_first_call(monkeypatch):
    fake, calls = _FakeCuda(monkeypatch), []
    graph = graphs._record(lambda x: (calls.append(len(fake.said)) or 2 * x,), (torch.ones(2),), "held")
    assert fake.said == ["wait", "device", "stream", "graph", "back", "wait"]
    assert calls == [3, 4]
    assert float(graph.outputs[0][0]) == 2


def test_what_cannot_be_recorded_runs_as_it_is_and_is_not_tried_again(monkeypatch):
    fake, calls = _FakeCuda(monkeypatch), []

    def function(x):
        calls.append(1)
        if fake.said and fake.said[-1] == "graph":
            raise RuntimeError("operation not permitted when stream is capturing")
        return (2 * x,)

    for number in range(3):
        assert float(replayed("key", function, torch.full((1,), float(number)))[0]) == 2 * number
    assert fake.said.count("graph") == 1
    assert fake.said[-1] == "back"


@pytest.mark.gpu
def test_a_replay_is_the_function():
    function = lambda x, y: (torch.fft.rfft(x).abs() + y,)  # noqa: E731
    for _ in range(4):
        x, y = torch.randn(2, 64, device="cuda"), torch.randn(33, device="cuda")
        torch.testing.assert_close(replayed("rfft", function, x, y)[0], function(x, y)[0], rtol=0, atol=0)
    assert worth_recording(x, y)
    assert not worth_recording(x.requires_grad_(), y)
    assert not worth_recording(torch.zeros(graphs.LARGEST + 1, device="cuda"))
