"""Angles on a grid from differences between neighbors, along the maximum spanning forest.

Measured differences do not add up to the same angle along every path, so one path must be chosen.
The path in the maximum spanning tree has the best worst edge of all paths; an edge weighs low² ·
high by the weights of its ends, so it avoids quiet bins. Borůvka (1926) finds the tree for all bins
at once. Each tree, at first a single bin, joins another one by the best edge that leaves it; chains
of trees find their root by pointer jumping and become one tree, and edges inside a tree are
dropped. At most half of the growing trees are left after a round, in spectrograms about a quarter:
all rounds together cost little more than the first. Where values must not be read, the rounds are
those of `spanning_forest_fixed.py`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv.phase import spanning_forest_fixed

_LOW_32 = 0xFFFFFFFF
_ROUNDED_BITS = 0xFFF  # of a weight's 23; the rest tells weights apart to 5e-4


class _Edges(NamedTuple):
    """Edges between trees; of two edges of one weight the later one is better."""

    # Weight in the upper half of the bits, number in the lower: no two are equal, so that best
    # edges cannot form a ring.
    key: Tensor
    start: Tensor  # tree at the start
    end: Tensor  # tree at the end
    rise: Tensor  # angle of the end tree's root minus that of the start tree's


def _grid_edges(weight: Tensor, down: Tensor, right: Tensor) -> _Edges:
    """Return all edges of the grid with a weight above 0; each bin is a tree."""
    bins = torch.arange(weight.numel(), device=weight.device).reshape(weight.shape)
    weights, starts, ends = [], [], []
    for dim in (1, 2):
        reach = weight.shape[dim] - 1
        one, other = weight.narrow(dim, 0, reach), weight.narrow(dim, 1, reach)
        # The quieter end counts twice: it is the less reliable one. Of a bin's edges to louder bins
        # the loudest is then the best.
        low = torch.minimum(one, other)
        weights.append((low * low * torch.maximum(one, other)).flatten())
        starts.append(bins.narrow(dim, 0, reach).flatten())
        ends.append(bins.narrow(dim, 1, reach).flatten())
    # The bits of non-negative float32 numbers are ordered like the numbers. Weights that differ by
    # rounding only are made equal, so that the edges of a flat magnitude are in the order of their
    # positions: rounding depends on the batch and the padding.
    key = (torch.cat(weights).float().view(torch.int32).long() & ~_ROUNDED_BITS) << 32
    rise = torch.cat([down.flatten(), right.flatten()])
    return _kept(_Edges(key, torch.cat(starts), torch.cat(ends), rise), key > 0)


def _kept(edges: _Edges, mask: Tensor) -> _Edges:
    """Return the edges where the mask is True, renumbered in their keys."""
    places = mask.nonzero().flatten()
    key, *others = (each.index_select(0, places) for each in edges)
    return _Edges((key & ~_LOW_32) | torch.arange(len(key), device=key.device), *others)


def _join(edges: _Edges, n_trees: int) -> tuple[Tensor, Tensor]:
    """Join every tree to another by its best edge; return roots and angles relative to them."""
    trees = torch.arange(n_trees, device=edges.key.device)
    best = torch.full_like(trees, -1).scatter_reduce_(0, edges.start, edges.key, "amax")
    best.scatter_reduce_(0, edges.end, edges.key, "amax")
    grows, edge = best >= 0, best & _LOW_32
    edge = torch.where(grows, edge, 0)
    start, end, rise = (
        edges.start.index_select(0, edge),
        edges.end.index_select(0, edge),
        edges.rise.index_select(0, edge),
    )
    outward = start == trees
    root = torch.where(grows, torch.where(outward, end, start), trees)
    angle = torch.where(grows, torch.where(outward, -rise, rise), 0)
    # Two trees that chose the same edge point at each other: the first one stays a root.
    stays = (root.index_select(0, root) == trees) & (trees < root)
    root, angle = torch.where(stays, trees, root), torch.where(stays, 0, angle)
    while True:
        onward = root.index_select(0, root)
        if torch.equal(onward, root):
            return root, angle
        angle = (angle + angle.index_select(0, root)).remainder(2 * math.pi)
        root = onward


def _start_at_loudest(weight: Tensor, tree: Tensor, n_trees: int, angle: Tensor) -> Tensor:
    """Shift each tree's angles so that its loudest bin, the first of equal ones, has 0."""
    bins = torch.arange(len(weight), device=weight.device)
    loudest = weight.new_zeros(n_trees).scatter_reduce_(0, tree, weight, "amax")
    candidate = torch.where(weight == loudest.index_select(0, tree), bins, len(weight))
    first = torch.full((n_trees,), len(weight), device=weight.device).scatter_reduce_(
        0, tree, candidate, "amin"
    )
    return (angle - angle.index_select(0, first).index_select(0, tree)).remainder(2 * math.pi)


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Integrate differences of angles along each item's maximum spanning forest.

    Deterministic and without gradient; on the CPU, the host reads some numbers in each round.

    Args:
        weight: Weight of each bin (items, rows, columns), from 0 to 1, normal when cubed. Bins of
            weight 0 belong to no tree and get 0.
        down: Angle of the next row minus that of this one, (items, rows − 1, columns).
        right: Angle of the next column minus that of this one, (items, rows, columns − 1).

    Returns:
        Angles (items, rows, columns) within [0, 2π]; each tree's loudest bin has 0.
    """
    if not may_depend_on_values(weight):
        return spanning_forest_fixed.integrate_angles(weight, down, right)
    n_trees = weight.numel()
    edges = _grid_edges(weight, down, right)
    # For the trees of each round: the tree they became part of, and the angle relative to its root.
    levels: list[tuple[Tensor, Tensor]] = []
    while len(edges.key):
        root, angle = _join(edges, n_trees)
        is_root = root == torch.arange(n_trees, device=root.device)
        number = is_root.cumsum(0) - 1
        n_trees, joined = int(is_root.sum()), number.index_select(0, root)
        levels.append((joined, angle))
        at_start, at_end = (angle.index_select(0, tree) for tree in (edges.start, edges.end))
        rise = (edges.rise + at_start - at_end).remainder(2 * math.pi)
        start, end = (joined.index_select(0, tree) for tree in (edges.start, edges.end))
        edges = _Edges(edges.key, start, end, rise)
        edges = _kept(edges, edges.start != edges.end)
    tree, angle = torch.arange(n_trees, device=weight.device), weight.new_zeros(n_trees)
    for joined, relative in reversed(levels):
        tree, angle = tree.index_select(0, joined), relative + angle.index_select(0, joined)
    return _start_at_loudest(weight.flatten(), tree, n_trees, angle).reshape(weight.shape)
