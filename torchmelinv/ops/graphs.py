"""Loops of short kernels recorded as CUDA graphs: a small batch is otherwise done before the host has asked for the next step.

A graph is made when a computation comes for the second time, because recording costs about as much as it saves once; a few
are kept, the one that was not asked for the longest goes first. What goes in and out is copied, so results stay the caller's.
What cannot be recorded runs as it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.ops.precision import lasting

KEPT = 8  # graphs; each holds the memory of its own computation
LARGEST = 2**22  # values of the inputs together: from there on kernels are long enough to hide their launches


class Graph(NamedTuple):
    """A recorded computation: copy into `inputs`, replay, read `outputs`."""

    replay: Callable[[], None]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    holds: Any  # what must live as long as the graph, for it reads its memory


_graphs: OrderedDict[Hashable, Graph | None] = OrderedDict()  # None: asked for once, or not to be recorded
_unfit: set[Hashable] = set()  # what could not be recorded
_lock = threading.Lock()


@lasting
def _record(function: Callable[..., tuple[Tensor, ...]], tensors: tuple[Tensor, ...], holds: Any) -> Graph:
    device = tensors[0].device
    inputs = tuple(tensor.clone() for tensor in tensors)
    current, beside, graph = torch.cuda.current_stream(device), torch.cuda.Stream(device), torch.cuda.CUDAGraph()
    beside.wait_stream(current)
    with torch.cuda.device(device):
        try:
            with torch.cuda.stream(beside):  # the first call makes plans, tables and modules, which cannot be recorded
                function(*inputs)
            # On a stream of this device, and minding this thread's calls only: others may load data meanwhile.
            with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
                outputs = function(*inputs)
        finally:
            torch.cuda.set_stream(current)  # where recording fails, torch stays on its own stream
    current.wait_stream(beside)
    return Graph(graph.replay, inputs, outputs, holds)


def worth_recording(*tensors: Tensor) -> bool:
    """Whether a loop over these would be bound by its launches; not while the caller records a graph of their own."""
    if not all(tensor.is_cuda for tensor in tensors) or sum(tensor.numel() for tensor in tensors) > LARGEST:
        return False
    wants_gradient = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return not wants_gradient and not torch.cuda.is_current_stream_capturing()


def replayed(
    key: Hashable, function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor, holds: Any = None
) -> tuple[Tensor, ...]:
    """`function(*tensors)`, without gradient; from the second time that `key` comes on by replaying a graph of it.

    The key says everything that the computation depends on beside the values, shapes, dtypes and device of the tensors. The
    function must not ask the host for values, and what other tensors it reads must be `holds`, unchanged.
    """
    device = tensors[0].device
    stream = torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0
    whole = (key, stream, *((tensor.shape, tensor.dtype, tensor.device) for tensor in tensors))
    with _lock:
        known, graph = whole in _graphs, _graphs.pop(whole, None)
        if known and graph is None and whole not in _unfit:
            try:
                graph = _record(function, tensors, holds)
            except RuntimeError:  # of torch or of a kernel; if it is the computation's own, running it says so
                _unfit.add(whole)
        _graphs[whole] = graph
        while len(_graphs) > KEPT:
            _graphs.popitem(last=False)
        if graph is not None:
            for static, tensor in zip(graph.inputs, tensors, strict=True):
                static.copy_(tensor)
            graph.replay()
            return tuple(output.clone() for output in graph.outputs)
    return function(*tensors)


def forget() -> None:
    """Free all graphs and their memory."""
    with _lock:
        _graphs.clear()
        _unfit.clear()
