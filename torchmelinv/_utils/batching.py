"""Batches: masks of items that differ in length, and item-by-item processing on the CPU.

One item at a time fits the CPU's cache better than a batch, and makes each result bit for bit
independent of the other items. Other devices and traced graphs get the whole batch at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from torchmelinv._utils.control_flow import may_depend_on_values

Result = TypeVar("Result", bound=tuple[Tensor, ...])


def length_mask(counts: Tensor, n: int) -> Tensor:
    """Return True for the first `counts` of n entries: (…) -> (…, n)."""
    return torch.arange(n, device=counts.device) < counts[..., None]


def frame_mask(counts: Tensor, mel: Tensor) -> Tensor:
    """Return True for an item's own frames, (…, 1, n_frames), for a mel (…, n_mels, n_frames)."""
    return length_mask(counts, mel.shape[-1])[..., None, :]


def ranges(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Return where consecutive parts of at most `size` entries begin and end."""
    for first in range(0, n, size):
        yield first, min(first + size, n)


def mapped_first(size: int, in_dims: tuple[int | None, ...], inputs: tuple[Any, ...]) -> list[Any]:
    """Return the inputs of a rule for `torch.func.vmap` with the mapped dimension first.

    Tensors without one are repeated; what is no tensor stays as it is.
    """

    def first(value: Any, dim: int | None) -> Any:
        if not isinstance(value, Tensor):
            return value
        return value.expand(size, *value.shape) if dim is None else value.movedim(dim, 0)

    return [first(value, dim) for value, dim in zip(inputs, in_dims, strict=True)]


def frames_first(spectrum: Tensor) -> Tensor:
    """Return a spectrum or mel (…, rows, n_frames) as contiguous (items, n_frames, rows)."""
    return spectrum.reshape(-1, *spectrum.shape[-2:]).mT.contiguous()


def map_batch(function: Callable[..., Result], first: Tensor, *others: Tensor | None) -> Result:
    """Apply a function to a batch; on the CPU item by item.

    Args:
        function: Takes the tensors and returns a tuple of tensors, all with a first dimension of
            items.
        first: Tensor (items, …).
        *others: Tensors (items, …), or None, which is passed on.

    Returns:
        The function's result for all items.
    """
    # While tracing, the size of the batch may be a symbol.
    if not may_depend_on_values(first) or len(first) <= 1:
        return function(first, *others)
    tensors = (first, *others)
    results = [
        function(*(None if each is None else each[i : i + 1] for each in tensors))
        for i in range(len(first))
    ]
    fields = [torch.cat(field) for field in zip(*results, strict=True)]
    kind = type(results[0])
    return kind(*fields) if hasattr(kind, "_fields") else kind(fields)
