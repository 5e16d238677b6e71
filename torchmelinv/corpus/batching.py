"""Batches of similar length under a limit.

Items go into buckets whose lengths differ by at most a quarter, so padding adds at most a quarter.
A full bucket becomes a batch. The buckets together never hold more than a few batches.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

Item = TypeVar("Item")

_LENGTH_RATIO = 1.25  # longest to shortest in a bucket
_PENDING_BATCHES = 4  # full batches that all buckets together may hold


@dataclasses.dataclass
class BatchLimit:
    """The largest batch. It may be lowered while batches are being made.

    A single item may have more of both.

    Args:
        max_items: Most items in a batch, where each channel counts as one.
        max_frames: Most padded frames of all channels in a batch.
    """

    max_items: int
    max_frames: int


def pad_stack(items: Sequence[Tensor], length: int) -> Tensor:
    """Stack tensors of different lengths, with zeros after each.

    Args:
        items: Tensors (…, n) that differ in n alone.
        length: Length of the result, at least each n.

    Returns:
        Tensor (items, …, length).
    """
    return torch.stack([pad(item, (0, length - item.shape[-1])) for item in items])


def batch_by_length(
    items: Iterable[Item],
    length: Callable[[Item], int],
    limit: BatchLimit,
    n_channels: Callable[[Item], int] = lambda _: 1,
) -> Iterator[list[Item]]:
    """Group a stream of items into batches of similar length.

    With ``limit.max_items = 1``, items keep their order and none of them waits.

    Args:
        items: The items. The stream may be endless.
        length: Length of an item in frames, at least 1.
        limit: Limit of a batch, read again for each item.
        n_channels: Number of channels of an item. A batch holds items of equally many channels.

    Yields:
        Batches as they fill up, at the end the remaining ones, longest first. Each item is in
        exactly one batch.
    """
    buckets: dict[tuple[int, int], list[Item]] = {}

    def size(bucket: list[Item]) -> int:
        return sum(map(n_channels, bucket))

    def padded_frames(bucket: list[Item]) -> int:
        return size(bucket) * max(map(length, bucket))

    def too_large(bucket: list[Item]) -> bool:
        return size(bucket) > limit.max_items or padded_frames(bucket) > limit.max_frames

    def too_many_pending() -> bool:
        n_items = sum(map(size, buckets.values()))
        n_frames = sum(map(padded_frames, buckets.values()))
        return (
            n_items > _PENDING_BATCHES * limit.max_items
            or n_frames > _PENDING_BATCHES * limit.max_frames
        )

    for item in items:
        key = math.floor(math.log(max(1, length(item)), _LENGTH_RATIO)), n_channels(item)
        bucket = buckets.get(key, [])
        if bucket and too_large([*bucket, item]):
            yield buckets.pop(key)
            bucket = []
        buckets[key] = bucket = [*bucket, item]
        if size(bucket) >= limit.max_items:
            yield buckets.pop(key)
        if too_many_pending():
            yield buckets.pop(max(buckets, key=lambda key: padded_frames(buckets[key])))
    for key in sorted(buckets, reverse=True):
        yield buckets[key]
