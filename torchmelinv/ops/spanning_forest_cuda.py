"""Angles along the maximum spanning forest by kernels: the reference's forest, edge for edge, without a question to the host.

Rounds over the whole grid would need a launch each for as many as there ever might be. Here a block takes all its rounds itself,
on a part of the grid. It knows every edge of the part's bins, also those that leave it, so a tree may grow until its heaviest
edge leaves the part: those edges are in the grid's forest whatever lies outside. What then is left are few trees, each with an
edge across the border; of the edges between them within the part only those of their own forest can be in the grid's. Parts
become nodes and edges of larger parts, until one is the grid: three or four launches, and one for all bins to add up the angles
of the trees that they went through. Nothing grows with the batch but the number of blocks.

Angles are summed as whole numbers, 2³² to a turn, exactly; only the differences given and the result are rounded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.ops.nvrtc import Kernel, launch

MOST_BINS = 2048  # of a first part
WIDTH = 64  # of a first part, about
BIN_BYTES = 30  # of its shared memory, for each bin
FAN = 4  # its square is how many parts make a larger one
TILE_THREADS, JOIN_THREADS, BIN_THREADS = 384, 1024, 256
KEYS, WORDS = 4, 13  # of a slot: of eight bytes and of four


class Level(NamedTuple):
    """Parts of one size that cover a grid; each has a slot for every bin of its four sides."""

    first: int  # slot
    height: int
    width: int
    parts: int

    @property
    def end(self) -> int:
        return self.first + self.parts * 2 * (self.height + self.width)


def _level(first: int, height: int, width: int, rows: int, columns: int) -> Level:
    return Level(first, height, width, -(-rows // height) * -(-columns // width))


def _levels(rows: int, columns: int) -> list[Level]:
    """From the smallest parts to the one that is the grid."""
    width = -(-columns // max(1, round(columns / WIDTH)))
    height = -(-rows // -(-rows // max(1, MOST_BINS // width)))
    levels = [_level(0, height, width, rows, columns)]
    while levels[-1].parts > 1:
        last = levels[-1]
        side_by_side = min(-(-columns // last.width), FAN)
        height, width = last.height * (FAN * FAN // side_by_side), last.width * side_by_side
        levels.append(_level(last.end, min(height, rows), min(width, columns), rows, columns))
    return levels


def _tiles(width: int) -> Kernel:
    return Kernel("forest_tiles.cu", "tile_forests", (("TILE_COLUMNS", width), ("TILE_THREADS", TILE_THREADS)))


def _joins(name: str) -> Kernel:
    return Kernel("forest_joins.cu", name, (("JOIN_THREADS", JOIN_THREADS), ("BIN_THREADS", BIN_THREADS)))


def kernels() -> list[Kernel]:
    """Those of 513 columns, to be compiled without a device."""
    return [_tiles(_levels(1, 513)[0].width), _joins("join_forests"), _joins("angles_of_bins")]


def why_not(weight: Tensor) -> str | None:
    """What keeps the kernels from it, if anything does."""
    bins = weight.shape[-2] * weight.shape[-1]
    return f"the grid's {bins} bins are 2³⁰ or more" if bins >= 2**30 else None


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """What `ops.spanning_forest.integrate_angles` gives, for float32: the same shapes and rules."""
    items, rows, columns = weight.shape
    angles = torch.empty_like(weight)
    if not weight.numel():
        return angles
    levels = _levels(rows, columns)
    n_slots = levels[-1].end
    keys = torch.empty(KEYS, items, n_slots, dtype=torch.int64, device=weight.device)
    words = torch.empty(WORDS, items, n_slots, dtype=torch.int32, device=weight.device)
    up, turn = (torch.empty(weight.shape, dtype=torch.int32, device=weight.device) for _ in range(2))
    tile = levels[0]
    grid, sizes = (weight, down, right), (items, rows, columns, n_slots)
    kernel, shared = _tiles(tile.width), BIN_BYTES * MOST_BINS
    launch(kernel, (items * tile.parts, 1), TILE_THREADS, *grid, up, turn, keys, words, *sizes, tile.height, shared_bytes=shared)
    for one, larger in pairwise(levels):
        shapes = *one[:3], *larger[:3]
        launch(_joins("join_forests"), (items * larger.parts, 1), JOIN_THREADS, *grid, keys, words, *sizes, *shapes)
    bins = rows * columns
    blocks = items * -(-bins // BIN_THREADS)
    given = weight, up, turn, keys, words
    launch(_joins("angles_of_bins"), (blocks, 1), BIN_THREADS, *given, angles, items, bins, n_slots)
    return angles
