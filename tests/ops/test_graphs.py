"""Which computations are recorded and kept. Recording itself needs a device: the last test."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.ops import graphs
from torchmelinv.ops.graphs import Graph, replayed, worth_recording


@pytest.fixture(autouse=True)
def _forget():
    graphs.forget()
    yield
    graphs.forget()


@pytest.fixture
def recorded(monkeypatch):
    """Recording without a device: what replays is a function that fills its outputs. Gives the list of what was recorded."""
    made = []

    def record(function, tensors, holds):
        inputs = tuple(tensor.clone() for tensor in tensors)
        outputs = function(*inputs)

        def replay():
            for output, new in zip(outputs, function(*inputs), strict=True):
                output.copy_(new)

        made.append(holds)
        return Graph(replay, inputs, outputs, holds)

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


@pytest.mark.gpu
def test_a_replay_is_the_function():
    function = lambda x, y: (torch.fft.rfft(x).abs() + y,)  # noqa: E731
    for _ in range(4):
        x, y = torch.randn(2, 64, device="cuda"), torch.randn(33, device="cuda")
        torch.testing.assert_close(replayed("rfft", function, x, y)[0], function(x, y)[0], rtol=0, atol=0)
    assert worth_recording(x, y)
    assert not worth_recording(x.requires_grad_(), y)
    assert not worth_recording(torch.zeros(graphs.LARGEST + 1, device="cuda"))
