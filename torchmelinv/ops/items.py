"""Items of a batch: which of their entries count, and running them one by one on the CPU.

There one item at a time fits the cache better than a batch, and gives bit for bit the same result whatever else is in the
batch. Accelerators get the whole batch at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Result = TypeVar("Result", bound=tuple[Tensor, ...])


def leading(counts: Tensor, n: int) -> Tensor:
    """True for the first `counts` of n entries: (…) -> (…, n)."""
    return torch.arange(n, device=counts.device) < counts[..., None]


def over_items(function: Callable[..., Result], first: Tensor, *others: Tensor | None) -> Result:
    """`function` of tensors with a leading item dimension (or None); it returns a tuple of tensors with one."""
    if first.device.type != "cpu" or len(first) <= 1:
        return function(first, *others)
    each = [[None if tensor is None else tensor[i : i + 1] for tensor in (first, *others)] for i in range(len(first))]
    results = [function(*one) for one in each]
    parts = [torch.cat(column) for column in zip(*results, strict=True)]
    kind = type(results[0])
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
