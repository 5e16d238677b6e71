"""Angles along the maximum spanning forest of a grid by CUDA kernels, without a host sync.

The reference in plain torch is `integrate_angles` in `phase/spanning_forest.py`; the forest is the
same, edge for edge.

Rounds over the whole grid would need a launch for each possible round. Instead, each block runs all
its rounds itself on a part of the grid. It has every edge of the bins of its part, including those
that leave the part, so a tree may grow until its heaviest edge leaves the part: these edges are in
the forest of the grid, whatever lies outside. Few trees remain, each with an edge across the
border; of the edges between them within the part, only those of their own forest can be in the
forest of the grid. The parts become nodes and edges of larger parts, until one part is the grid.
This takes three or four launches, and one more in which every bin adds up the angles of the trees
that it belonged to. With the batch, only the number of blocks grows.

Angles are summed exactly, as integers with 2³² to a turn; only the given differences and the
result are rounded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.cuda.nvrtc import Kernel, launch

MAX_BINS = 2048  # of a smallest part
WIDTH = 64  # of a smallest part, approximately
BIN_BYTES = 30  # shared memory of a smallest part per bin
FAN = 4  # FAN² parts make a larger one
TILE_THREADS, JOIN_THREADS, BIN_THREADS = 384, 1024, 256
KEYS, WORDS = 4, 13  # numbers of eight and of four bytes in a slot


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
    """Return the levels from the smallest parts to the whole grid."""
    width = -(-columns // max(1, round(columns / WIDTH)))
    height = -(-rows // -(-rows // max(1, MAX_BINS // width)))
    levels = [_level(0, height, width, rows, columns)]
    while levels[-1].parts > 1:
        last = levels[-1]
        side_by_side = min(-(-columns // last.width), FAN)
        height, width = last.height * (FAN * FAN // side_by_side), last.width * side_by_side
        levels.append(_level(last.end, min(height, rows), min(width, columns), rows, columns))
    return levels


def _tiles(width: int) -> Kernel:
    defines = (("TILE_COLUMNS", width), ("TILE_THREADS", TILE_THREADS))
    return Kernel("forest_tiles.cu", "tile_forests", defines)


def _joins(name: str) -> Kernel:
    defines = (("JOIN_THREADS", JOIN_THREADS), ("BIN_THREADS", BIN_THREADS))
    return Kernel("forest_joins.cu", name, defines)


def kernels() -> list[Kernel]:
    """Return the kernels for 513 columns, to compile them without a device."""
    return [_tiles(_levels(1, 513)[0].width), _joins("join_forests"), _joins("angles_of_bins")]


def unsupported_reason(weight: Tensor) -> str | None:
    """Return why the kernels cannot take this grid, or None if they can."""
    bins = weight.shape[-2] * weight.shape[-1]
    return f"the grid's {bins} bins are 2³⁰ or more" if bins >= 2**30 else None


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return the angles in float32; shapes and rules are those of `phase/spanning_forest.py`."""
    items, rows, columns = weight.shape
    angles = torch.empty_like(weight)
    if not weight.numel():
        return angles
    device, levels = weight.device, _levels(rows, columns)
    n_slots = levels[-1].end
    keys = torch.empty(KEYS, items, n_slots, dtype=torch.int64, device=device)
    words = torch.empty(WORDS, items, n_slots, dtype=torch.int32, device=device)
    up, turn = (torch.empty(weight.shape, dtype=torch.int32, device=device) for _ in range(2))
    grid, sizes = (weight, down, right), (items, rows, columns, n_slots)
    tile = levels[0]
    blocks, shared = (items * tile.parts, 1), BIN_BYTES * MAX_BINS
    tensors = *grid, up, turn, keys, words
    launch(
        _tiles(tile.width), blocks, TILE_THREADS, *tensors, *sizes, tile.height, shared_bytes=shared
    )
    for smaller, larger in pairwise(levels):
        blocks, shapes = (items * larger.parts, 1), (*smaller[:3], *larger[:3])
        launch(_joins("join_forests"), blocks, JOIN_THREADS, *grid, keys, words, *sizes, *shapes)
    bins = rows * columns
    blocks, inputs = (items * -(-bins // BIN_THREADS), 1), (weight, up, turn, keys, words)
    launch(_joins("angles_of_bins"), blocks, BIN_THREADS, *inputs, angles, items, bins, n_slots)
    return angles
