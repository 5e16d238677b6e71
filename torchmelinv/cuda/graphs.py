"""Repeated short calls are captured as CUDA graphs.

Without a graph a small batch finishes before the host has launched the next step. A graph is
captured when a computation comes for the second time, because capturing costs about as much as one
replay saves. A few graphs are kept; the least recently used one is dropped first. Inputs and
outputs are copied, so results belong to the caller. A computation that cannot be captured runs as
it is. TORCHMELINV_CUDA_GRAPHS=0 switches graphs off.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.tracing import is_traced
from torchmelinv.cuda.backend import runs_eagerly
from torchmelinv.errors import InputError

ENVIRONMENT_VARIABLE = "TORCHMELINV_CUDA_GRAPHS"
MAX_GRAPHS = 8  # each holds the memory of its computation
# Values of all inputs of a graph. Beyond, kernels are long enough to hide their launches.
MAX_VALUES = 2**22
MAX_KEPT_VALUES = 2 * MAX_VALUES  # of all graphs; in plain torch a graph holds some 20 times that


class Graph(NamedTuple):
    """A captured computation: copy into `inputs`, replay, read `outputs`."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    keep_alive: Any  # an object whose memory the graph reads


# None: called once so far. False: it could not be captured.
_graphs: OrderedDict[Hashable, Graph | Literal[False] | None] = OrderedDict()
_lock = threading.Lock()


@outside_inference_mode
def capture(
    function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], keep_alive: Any
) -> Graph:
    """Capture ``function(*tensors)``; arguments as those of `replay_graph`."""
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


def end_capture_of_random_numbers(device: torch.device) -> None:
    """Let a device draw random numbers again: a failed capture leaves its generator capturing."""
    if device.index is not None and device.index < len(torch.cuda.default_generators):
        generator = torch.cuda.default_generators[device.index]
        generator.graphsafe_set_state(generator.clone_state())


def graphs_enabled() -> bool:
    """Return whether the environment variable lets computations be captured."""
    value = os.environ.get(ENVIRONMENT_VARIABLE) or "1"
    if value not in ("0", "1"):
        raise InputError(
            f"the environment variable {ENVIRONMENT_VARIABLE} is {value!r}; it must be 0 or 1"
        )
    return value == "1"


def worth_capturing(*tensors: Tensor) -> bool:
    """Return whether launches dominate a loop over these tensors and it can be captured.

    False on other devices, if gradients are needed, and while the caller captures a graph.
    """
    if not all(tensor.is_cuda for tensor in tensors):
        return False
    if not runs_eagerly() or any(map(is_traced, tensors)) or not graphs_enabled():
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
    setting = torch.are_deterministic_algorithms_enabled()  # it chooses what is captured
    signatures = ((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors)
    full_key = (key, stream, setting, *signatures)
    with _lock:
        repeated, graph = full_key in _graphs, _graphs.pop(full_key, None)
        if repeated and graph is None:
            try:
                graph = capture(function, tensors, keep_alive)
            except RuntimeError:  # an error of the computation itself appears again below
                graph = False
                end_capture_of_random_numbers(device)
        _graphs[full_key] = graph
        while len(_graphs) > MAX_GRAPHS or _kept_values() > MAX_KEPT_VALUES:
            _graphs.popitem(last=False)
        if graph:
            for static, tensor in zip(graph.inputs, tensors, strict=True):
                static.copy_(tensor)
            graph.replay()
            return tuple(output.clone() for output in graph.outputs)
    return function(*tensors)


def _kept_values() -> int:
    """Return the number of values in the inputs of all graphs."""
    return sum(tensor.numel() for graph in _graphs.values() if graph for tensor in graph.inputs)


def clear() -> None:
    """Free all graphs and their memory."""
    with _lock:
        _graphs.clear()
