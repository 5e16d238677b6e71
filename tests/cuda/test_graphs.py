"""Which computations are captured and kept. Capturing itself needs a device: the last test."""

from __future__ import annotations

import contextlib
from unittest import mock

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.host_cuda import fake_capture
from torchmelinv.cuda import graphs
from torchmelinv.cuda.graphs import replay_graph, worth_capturing
from torchmelinv.errors import InputError


@pytest.fixture(autouse=True)
def _clear():
    graphs.clear()
    yield
    graphs.clear()


@pytest.fixture
def captured(monkeypatch):
    """Capture without a device; the list of all `keep_alive`."""
    made = []

    def capture(function, tensors, keep_alive):
        made.append(keep_alive)
        return fake_capture(function, tensors, keep_alive)

    monkeypatch.setattr(graphs, "capture", capture)
    return made


def double(*tensors):
    return tuple(2 * tensor for tensor in tensors)


def test_the_second_call_captures_and_results_belong_to_the_caller(captured):
    results = []
    for number in range(4):
        x = torch.full((3,), float(number))
        (result,) = replay_graph("double", double, x, keep_alive="object")
        results.append(result)
        assert captured == ["object"] * min(number, 1)
    assert [float(result[0]) for result in results] == [0, 2, 4, 6]


def test_another_shape_dtype_or_key_is_another_graph(captured):
    for _ in range(2):
        replay_graph("a", double, torch.zeros(3))
        replay_graph("a", double, torch.zeros(4))
        replay_graph("a", double, torch.zeros(3, dtype=torch.float64))
        replay_graph("b", double, torch.zeros(3))
    assert len(captured) == 4


def test_the_least_recently_used_graph_is_dropped(captured):
    for key in range(graphs.MAX_GRAPHS + 1):
        replay_graph(key, double, torch.zeros(1))
        replay_graph("often", double, torch.zeros(1))
    assert len(graphs._graphs) == graphs.MAX_GRAPHS
    assert len(captured) == 1
    replay_graph(0, double, torch.zeros(1))
    assert len(captured) == 1, "the first key was dropped, so this is its first call"


def test_all_graphs_together_are_bounded(captured, monkeypatch):
    monkeypatch.setattr(graphs, "MAX_KEPT_VALUES", 10)
    for key in range(4):
        for _ in range(2):
            replay_graph(key, double, torch.zeros(4))
    assert [key[0] for key in graphs._graphs] == [2, 3]
    for _ in range(3):
        (result,) = replay_graph("large", double, torch.ones(11))
        assert torch.equal(result, torch.full((11,), 2.0))


def test_another_setting_of_torch_is_another_graph(captured):
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        for setting in (True, False):
            torch.use_deterministic_algorithms(setting)
            for _ in range(2):
                replay_graph("double", double, torch.zeros(3))
    finally:
        torch.use_deterministic_algorithms(deterministic)
    assert len(captured) == 2


class _OnDevice:
    """What `worth_capturing` reads of a tensor, as of one on a CUDA device."""

    is_cuda, requires_grad = True, False

    def numel(self):
        return 3


@pytest.fixture
def device(monkeypatch):
    """Take `_OnDevice` for a tensor of a device that captures nothing."""
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(graphs, "is_traced", lambda _: False)


def test_cpu_computations_are_not_captured():
    assert not worth_capturing(torch.zeros(3))


def test_tensors_without_values_are_not_captured():
    with FakeTensorMode():
        fake = torch.zeros(3, device="cuda")
    assert fake.is_cuda
    assert not worth_capturing(fake)


@pytest.mark.usefixtures("device")
def test_an_environment_variable_switches_graphs_off(monkeypatch):
    for value, captures in (("", True), ("1", True), ("0", False)):
        monkeypatch.setenv(graphs.ENVIRONMENT_VARIABLE, value)
        assert worth_capturing(_OnDevice()) == captures
    monkeypatch.setenv(graphs.ENVIRONMENT_VARIABLE, "off")
    with pytest.raises(InputError, match="TORCHMELINV_CUDA_GRAPHS is 'off'; it must be 0 or 1"):
        worth_capturing(_OnDevice())


@pytest.mark.usefixtures("device")
def test_nothing_is_captured_inside_another_capture_or_transform(monkeypatch):
    answers = []
    torch.func.vmap(lambda x: (answers.append(worth_capturing(_OnDevice())), x)[1])(torch.ones(2))
    assert answers == [False]
    assert worth_capturing(_OnDevice())
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert not worth_capturing(_OnDevice())


class _FakeStream:
    cuda_stream = 1

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def wait_stream(self, _) -> None:
        self.calls.append("wait")


class _FakeGraph:
    def replay(self) -> None:
        pass


class _FakeCuda:
    """Replace the functions of torch.cuda that a capture uses; `calls` lists them in order."""

    def __init__(self, monkeypatch) -> None:
        self.calls = []
        self.side, self.current = _FakeStream(self.calls), _FakeStream(self.calls)
        fakes = {
            "current_stream": lambda *_: self.current,
            "Stream": lambda *_: self.side,
            "CUDAGraph": _FakeGraph,
            "stream": lambda _: self._context("stream"),
            "device": lambda _: self._context("device"),
            "graph": self._graph,
            "set_stream": self._set_stream,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextlib.contextmanager
    def _context(self, name):
        self.calls.append(name)
        yield

    @contextlib.contextmanager
    def _graph(self, graph, stream, capture_error_mode):
        assert stream is self.side
        assert capture_error_mode == "thread_local"
        self.calls.append("graph")
        yield

    def _set_stream(self, stream) -> None:
        self.calls.append("back" if stream is self.current else "wrong")


def test_capture_runs_on_a_side_stream_after_a_first_call(monkeypatch):
    fake, called_after = _FakeCuda(monkeypatch), []

    def function(x):
        called_after.append(len(fake.calls))
        return (2 * x,)

    graph = graphs.capture(function, (torch.ones(2),), "object")
    assert fake.calls == ["wait", "device", "stream", "graph", "back", "wait"]
    assert called_after == [3, 4]
    assert float(graph.outputs[0][0]) == 2


def test_a_computation_that_cannot_be_captured_runs_and_is_not_tried_again(monkeypatch):
    fake = _FakeCuda(monkeypatch)

    def function(x):
        if fake.calls and fake.calls[-1] == "graph":
            raise RuntimeError("operation not permitted when stream is capturing")
        return (2 * x,)

    for number in range(3):
        (result,) = replay_graph("key", function, torch.full((1,), float(number)))
        assert float(result[0]) == 2 * number
    assert fake.calls.count("graph") == 1
    assert fake.calls[-1] == "back"


def test_after_a_failed_capture_the_generator_gets_a_state_of_its_own(monkeypatch):
    generator = mock.MagicMock()
    monkeypatch.setattr(torch.cuda, "default_generators", (None, generator))
    graphs.end_capture_of_random_numbers(torch.device("cuda", 1))
    generator.graphsafe_set_state.assert_called_once_with(generator.clone_state.return_value)
    graphs.end_capture_of_random_numbers(torch.device("cpu"))


@pytest.mark.gpu
def test_a_failed_capture_harms_nothing():
    x = torch.ones(3, device="cuda")

    def waits(x):
        return (2 * x * float(x.sum()),)

    for _ in range(3):
        (result,) = replay_graph("waits", waits, x)
        assert torch.equal(result, torch.full_like(x, 6))
        assert torch.rand(3, device="cuda").isfinite().all()
    (result,) = [replay_graph("double", double, x) for _ in range(3)][-1]
    assert torch.equal(result, 2 * x)


@pytest.mark.gpu
def test_a_replay_equals_the_function():
    function = lambda x, y: (torch.fft.rfft(x).abs() + y,)  # noqa: E731
    for _ in range(4):
        x, y = torch.randn(2, 64, device="cuda"), torch.randn(33, device="cuda")
        replayed = replay_graph("rfft", function, x, y)[0]
        torch.testing.assert_close(replayed, function(x, y)[0], rtol=0, atol=0)
    assert worth_capturing(x, y)
    assert not worth_capturing(x.requires_grad_(), y)
    assert not worth_capturing(torch.zeros(graphs.MAX_VALUES + 1, device="cuda"))
