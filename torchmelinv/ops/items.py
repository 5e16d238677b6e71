"""Running a batch item by item on the CPU.

There one item at a time fits the cache better than a batch, and gives bit for bit the same result whatever else is in the
batch. Accelerators get the whole batch at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result", bound=tuple[Tensor, ...])


def over_items(function: Callable[..., Result], *tensors: Tensor) -> Result:
    """`function` of tensors with a leading item dimension; it returns a tuple of tensors with one."""
    if tensors[0].device.type != "cpu" or tensors[0].shape[0] == 1:
        return function(*tensors)
    results = [function(*(tensor[i : i + 1] for tensor in tensors)) for i in range(tensors[0].shape[0])]
    parts = [torch.cat(column) for column in zip(*results, strict=True)]
    kind = type(results[0])
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)  # type: ignore[call-arg]
