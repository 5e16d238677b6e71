"""Tables on the device of a tensor: a cache for those derived from an object, and small ones."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode

K = TypeVar("K")
T = TypeVar("T")


def to_device(table: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a small table of the CPU in a dtype, on a device.

    The host does not wait for the work that the device has still to do, as it would after a plain
    copy.
    """
    # In two steps: MPS has no float64.
    return table.to(dtype).to(device, non_blocking=device.type == "cuda")


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
