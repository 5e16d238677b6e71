"""Items of like length together, within a budget: padding costs at most a quarter, and little waits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

Item = TypeVar("Item")

_RATIO = 1.25  # of the lengths in a bucket, longest to shortest
_WAITING = 4  # full batches that may wait for company in all buckets together


@dataclasses.dataclass
class Limit:
    """How much a batch may hold. Whoever finds that too much may lower it while batches are being made."""

    items: int
    frames: int  # padded ones; a single item may have more


def stacked(items: Sequence[Tensor], count: int) -> Tensor:
    """Items (…, n) of unlike n as one tensor (items, …, count), with zeros after each."""
    return torch.stack([pad(item, (0, count - item.shape[-1])) for item in items])


def batches(items: Iterable[Item], length: Callable[[Item], int], limit: Limit) -> Iterator[list[Item]]:
    """Group a stream of items by their length ≥ 1 (frames): batches as they fill up, in the end what is left, longest first.

    Each item is in one batch. With `limit.items` = 1 they come in their own order, at once.
    """
    buckets: dict[int, list[Item]] = {}

    def padded(bucket: list[Item]) -> int:
        return len(bucket) * max(map(length, bucket))

    for item in items:
        key = math.floor(math.log(max(1, length(item)), _RATIO))
        bucket = buckets.get(key, [])
        if bucket and padded([*bucket, item]) > limit.frames:
            yield buckets.pop(key)
            bucket = []
        buckets[key] = bucket = [*bucket, item]
        if len(bucket) >= limit.items:
            yield buckets.pop(key)
        held = list(buckets.values())
        if sum(map(len, held)) > _WAITING * limit.items or sum(map(padded, held)) > _WAITING * limit.frames:
            yield buckets.pop(max(buckets, key=lambda key: padded(buckets[key])))
    for key in sorted(buckets, reverse=True):
        yield buckets[key]
