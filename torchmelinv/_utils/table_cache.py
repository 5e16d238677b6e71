"""Tables on the device of a tensor: caches, small tables, and constants of traced graphs."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.tracing import constant_in_graphs

K = TypeVar("K")
T = TypeVar("T")
P = ParamSpec("P")

_in_graphs: dict[int, Any] = {}  # by id


def to_device(table: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a small table of the CPU in a dtype, on a device.

    The host does not wait for the work that the device has still to do, as it would after a plain
    copy.
    """
    # In two steps: MPS has no float64.
    return table.to(dtype).to(device, non_blocking=device.type == "cuda")


def keep_for_graphs(cached: T, device: torch.device) -> T:
    """Keep a cached object for good if it is used while a CUDA graph is captured; return it.

    A graph reads the memory of the object at every replay, while a bounded cache may drop it. The
    graph is the caller's, so its end is unknown.
    """
    used = device.type == "cuda" and torch.cuda.is_initialized()
    if used and torch.cuda.is_current_stream_capturing():
        _in_graphs[id(cached)] = cached
    return cached


def cached_table(make: Callable[[K, torch.dtype, torch.device], T]) -> Callable[[K, Tensor], T]:
    """Cache ``make(owner, dtype, device)`` for as long as the owner lives.

    Call the decorated function with the owner and a tensor of the table's dtype and device. An
    entry dies with its owner, so the cache never outgrows the objects in use; the table must not
    refer to its owner. Threads share one table, even if two of them build it at the same time.
    """
    cache: weakref.WeakKeyDictionary[Any, dict[tuple[torch.dtype, torch.device], T]]
    cache = weakref.WeakKeyDictionary()
    build = outside_inference_mode(make)

    @functools.wraps(make)
    def table(owner: K, like: Tensor) -> T:
        entries = cache.setdefault(owner, {})
        key = (like.dtype, like.device)
        if key not in entries:
            entries.setdefault(key, build(owner, like.dtype, like.device))
        return entries[key]

    return table


def cached_by_value(maxsize: int) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Cache the tables of the last arguments, and those of CUDA graphs; do not write to them.

    A traced graph computes its own table: sizes may be unknown there, and compilers fold constants.
    """

    def decorate(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
        kept: Any = functools.lru_cache(maxsize)(outside_inference_mode(make))

        @functools.wraps(make)
        def table(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            if torch.compiler.is_compiling():
                return make(*args, **kwargs)
            found: Tensor = kept(*args, **kwargs)
            return keep_for_graphs(found, found.device)

        return table

    return decorate


class GraphTable:
    """A constant table for traced graphs, in every dtype and on every device that they need.

    `torch.compile` reads a table as an attribute of this object, and makes it before while it
    traces: a graph can neither use a cache nor make tables outside its modes.

    Args:
        make: Returns the table in float64 on the CPU.
    """

    def __init__(self, make: Callable[[], Tensor]) -> None:
        self._make = make

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphTable:
        return self  # copies of a module share the tables

    def __reduce__(self) -> tuple[type[GraphTable], tuple[Callable[[], Tensor]]]:
        return GraphTable, (self._make,)

    def like(self, tensor: Tensor) -> Tensor:
        """Return the table for operations with a traced tensor."""
        self._prepare(tensor.dtype, tensor.device)
        table: Tensor = getattr(self, _attribute(tensor.dtype, tensor.device))
        mode = None if torch.compiler.is_compiling() else getattr(tensor, "fake_mode", None)
        if mode is None or mode.allow_non_fake_inputs or get_proxy_mode() is not None:
            return table
        return mode.from_tensor(table)

    @constant_in_graphs
    def _prepare(self, dtype: torch.dtype, device: torch.device) -> None:
        name = _attribute(dtype, device)
        if not hasattr(self, name):
            table = outside_inference_mode(lambda: to_device(self._make(), dtype, device))()
            if "torch._dynamo" in sys.modules:
                torch._dynamo.mark_static(table)  # dynamic=True would make its sizes symbols
            setattr(self, name, table)


def _attribute(dtype: torch.dtype, device: torch.device) -> str:
    return f"{dtype}_{device}".replace(".", "_").replace(":", "_")
