"""Repeated short calls are captured as CUDA graphs.

Without a graph a small batch finishes before the host has launched the next step. A graph is
captured when a computation comes for the second time, because capturing costs about as much as one
replay saves. A few graphs are kept; the least recently used one is dropped first. Inputs and
outputs are copied, so results belong to the caller. A computation that cannot be captured runs as
it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode

MAX_GRAPHS = 8  # each holds the memory of its computation
# Values of all inputs together. Beyond, kernels are long enough to hide their launches.
MAX_VALUES = 2**22


class Graph(NamedTuple):
    """A captured computation: copy into `inputs`, replay, read `outputs`."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    keep_alive: Any  # an object whose memory the graph reads


# None: called once so far, or not to be captured.
_graphs: OrderedDict[Hashable, Graph | None] = OrderedDict()
_failed: set[Hashable] = set()  # keys of computations that could not be captured
_lock = threading.Lock()


@outside_inference_mode
def _capture(
    function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], keep_alive: Any
) -> Graph:
    device = tensors[0].device
    inputs = tuple(tensor.clone() for tensor in tensors)
    current, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    graph = torch.cuda.CUDAGraph()
    side.wait_stream(current)
    with torch.cuda.device(device):
        try:
            # The first call builds plans, tables and modules, which cannot be captured.
            with torch.cuda.stream(side):
                function(*inputs)
            # On a stream of this device, and only for calls of this thread: others may load data.
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                outputs = function(*inputs)
        finally:
            torch.cuda.set_stream(current)  # a failed capture leaves torch on the other stream
    current.wait_stream(side)
    return Graph(graph.replay, inputs, outputs, keep_alive)


def worth_capturing(*tensors: Tensor) -> bool:
    """Return whether launches dominate a loop over these tensors and it can be captured.

    False on other devices, if gradients are needed, and while the caller captures a graph.
    """
    if not all(tensor.is_cuda for tensor in tensors):
        return False
    if sum(tensor.numel() for tensor in tensors) > MAX_VALUES:
        return False
    needs_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return not needs_gradient and not torch.cuda.is_current_stream_capturing()


def replay_graph(
    key: Hashable,
    function: Callable[..., tuple[Tensor, ...]],
    *tensors: Tensor,
    keep_alive: Any = None,
) -> tuple[Tensor, ...]:
    """Return ``function(*tensors)`` without gradient; from the second call on by replaying a graph.

    Args:
        key: Everything that the computation depends on, except the values, shapes, dtypes and
            device of the tensors.
        function: The computation. It must not read values on the host.
        *tensors: Its arguments.
        keep_alive: An object with all other tensors that the function reads; they must not change.

    Returns:
        The results of the function.
    """
    device = tensors[0].device
    stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
    full_key = (key, stream, *((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors))
    with _lock:
        repeated, graph = full_key in _graphs, _graphs.pop(full_key, None)
        if repeated and graph is None and full_key not in _failed:
            try:
                graph = _capture(function, tensors, keep_alive)
            except RuntimeError:  # an error of the computation itself appears again below
                _failed.add(full_key)
        _graphs[full_key] = graph
        while len(_graphs) > MAX_GRAPHS:
            _graphs.popitem(last=False)
        if graph is not None:
            for static, tensor in zip(graph.inputs, tensors, strict=True):
                static.copy_(tensor)
            graph.replay()
            return tuple(output.clone() for output in graph.outputs)
    return function(*tensors)


def clear() -> None:
    """Free all graphs and their memory."""
    with _lock:
        _graphs.clear()
        _failed.clear()
