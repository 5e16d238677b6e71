"""Angles on a grid from their differences between neighbours, taken along the loudest tree that reaches every bin.

Differences that were measured do not add up to the same angle along every path, so one path must be chosen. That in the maximum
spanning tree has the best worst edge of all; an edge weighs low² · high by the weights of its ends, so it avoids quiet bins.
Borůvka (1926) finds the tree for all bins at once. Each tree, at first a single bin, takes the best edge that leaves it and hangs
itself there; chains of trees then find their end by pointer jumping and become one tree, and edges inside a tree are dropped. At
most half of the trees that still grow are left after a round, in spectrograms about a quarter: all rounds together cost little
more than the first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_LOW_32 = 0xFFFFFFFF


class _Edges(NamedTuple):
    """Edges between trees, the best one last where two weigh the same; one entry an edge."""

    key: Tensor  # weight in the upper half of the bits: no two are equal, so best edges cannot close to a ring
    start: Tensor  # the tree that it leaves
    end: Tensor  # the tree that it reaches
    rise: Tensor  # angle of the end's root minus that of the start's


def _grid_edges(weight: Tensor, down: Tensor, right: Tensor) -> _Edges:
    """Of every edge of the grid that weighs something, bins as trees."""
    bins = torch.arange(weight.numel(), device=weight.device).reshape(weight.shape)
    weights, starts, ends = [], [], []
    for dim in (1, 2):
        reach = weight.shape[dim] - 1
        one, other = weight.narrow(dim, 0, reach), weight.narrow(dim, 1, reach)
        # The quieter end counts twice: it is the less reliable one. Of a bin's edges to louder bins the loudest is then the best.
        low = torch.minimum(one, other)
        weights.append((low * low * torch.maximum(one, other)).flatten())
        starts.append(bins.narrow(dim, 0, reach).flatten())
        ends.append(bins.narrow(dim, 1, reach).flatten())
    # The bits of a float32 that is not negative are ordered as the number is.
    key = torch.cat(weights).float().view(torch.int32).long() << 32
    rise = torch.cat([down.flatten(), right.flatten()])
    return _kept(_Edges(key, torch.cat(starts), torch.cat(ends), rise), key > 0)


def _kept(edges: _Edges, mask: Tensor) -> _Edges:
    """The edges where the mask is True, with keys that tell their new places."""
    places = mask.nonzero().flatten()
    key, *others = (each.index_select(0, places) for each in edges)
    return _Edges((key & ~_LOW_32) | torch.arange(len(key), device=key.device), *others)


def _hang(edges: _Edges, n_trees: int) -> tuple[Tensor, Tensor]:
    """Of every tree the root that it hangs itself to by its best edge, and its angle minus that root's."""
    trees = torch.arange(n_trees, device=edges.key.device)
    best = torch.full_like(trees, -1).scatter_reduce_(0, edges.start, edges.key, "amax")
    best.scatter_reduce_(0, edges.end, edges.key, "amax")
    grows, edge = best >= 0, best & _LOW_32
    edge = torch.where(grows, edge, 0)
    start, end, rise = edges.start.index_select(0, edge), edges.end.index_select(0, edge), edges.rise.index_select(0, edge)
    outward = start == trees
    root = torch.where(grows, torch.where(outward, end, start), trees)
    angle = torch.where(grows, torch.where(outward, -rise, rise), 0)
    # Two trees that took the same edge point at each other: the one that comes first stays a root.
    stays = (root.index_select(0, root) == trees) & (trees < root)
    root, angle = torch.where(stays, trees, root), torch.where(stays, 0, angle)
    while True:
        onward = root.index_select(0, root)
        if torch.equal(onward, root):
            return root, angle
        angle = (angle + angle.index_select(0, root)).remainder(2 * math.pi)
        root = onward


def _start_at_loudest(weight: Tensor, tree: Tensor, n_trees: int, angle: Tensor) -> Tensor:
    """The angles such that each tree's loudest bin, the first of them, has 0."""
    bins = torch.arange(len(weight), device=weight.device)
    loudest = weight.new_zeros(n_trees).scatter_reduce_(0, tree, weight, "amax")
    candidate = torch.where(weight == loudest.index_select(0, tree), bins, len(weight))
    first = torch.full((n_trees,), len(weight), device=weight.device).scatter_reduce_(0, tree, candidate, "amin")
    return (angle - angle.index_select(0, first).index_select(0, tree)).remainder(2 * math.pi)


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Angles (items, rows, columns) with the given differences along each item's maximum spanning forest, within [0, 2π].

    `weight` (items, rows, columns), from 0 to 1 and normal when cubed: bins of weight 0 belong to no tree and get 0. `down`
    (items, rows − 1, columns) and `right` (items, rows, columns − 1): angle of the next row or column minus that of this one.
    Each tree's loudest bin gets 0. Deterministic; without gradient; the host reads some numbers in each of about 7 rounds.
    """
    n_trees = weight.numel()
    edges = _grid_edges(weight, down, right)
    levels: list[tuple[Tensor, Tensor]] = []  # of the trees of each round: the tree that they became part of, angle against it
    while len(edges.key):
        root, angle = _hang(edges, n_trees)
        is_root = root == torch.arange(n_trees, device=root.device)
        number = is_root.cumsum(0) - 1
        n_trees, grown = int(is_root.sum()), number.index_select(0, root)
        levels.append((grown, angle))
        rise = (edges.rise + angle.index_select(0, edges.start) - angle.index_select(0, edges.end)).remainder(2 * math.pi)
        edges = _Edges(edges.key, grown.index_select(0, edges.start), grown.index_select(0, edges.end), rise)
        edges = _kept(edges, edges.start != edges.end)
    tree, angle = torch.arange(n_trees, device=weight.device), weight.new_zeros(n_trees)
    for grown, against in reversed(levels):
        tree, angle = tree.index_select(0, grown), against + angle.index_select(0, grown)
    return _start_at_loudest(weight.flatten(), tree, n_trees, angle).reshape(weight.shape)
