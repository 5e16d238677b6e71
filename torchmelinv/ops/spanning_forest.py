"""Angles on a grid from their differences between neighbours, taken along the loudest tree that reaches every bin.

Differences that were measured do not add up to the same angle along every path, so one path must be chosen. That in the maximum
spanning tree has the best worst edge of all; an edge weighs low² · high by the weights of its ends, so it avoids quiet bins.
Borůvka (1926) finds the tree for all bins at once. Each tree, at first a single bin, takes the best edge that leaves it and hangs
itself there; then every bin looks up its tree's new root by pointer jumping, and its angle relative to that root with it. A round
leaves at most half of the trees that still grow; spectrograms of 10^5 bins take 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad


def _ranks(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Of every edge its rank by weight, −1 where the weight is 0, and the edge of every rank: (items, edges) each.

    Different edges have different ranks: with ties, chains of best edges could close to a ring.
    """
    order = weight.sort(dim=-1, stable=True).indices
    rank = torch.empty_like(order)
    rank.scatter_(-1, order, torch.arange(weight.shape[-1], device=weight.device).expand(weight.shape))
    return torch.where(weight > 0, rank, -1), order


def _flatten(root: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the pointers of every bin to their end, adding up the angles on the way: twice as far in each pass."""
    while True:
        onward = root.gather(-1, root)
        if torch.equal(onward, root):
            return root, angle
        angle = (angle + angle.gather(-1, root)).remainder(2 * math.pi)
        root = onward


def _start_at_loudest(weight: Tensor, root: Tensor, angle: Tensor) -> Tensor:
    """The angles such that each tree's loudest bin, the first of them, has 0: (items, bins)."""
    n_bins = weight.shape[-1]
    bins = torch.arange(n_bins, device=weight.device).expand(weight.shape)
    loudest = torch.zeros_like(weight).scatter_reduce_(-1, root, weight, "amax").gather(-1, root)
    candidate = torch.where(weight == loudest, bins, n_bins - 1)
    first = torch.full_like(root, n_bins - 1).scatter_reduce_(-1, root, candidate, "amin").gather(-1, root)
    return (angle - angle.gather(-1, first)).remainder(2 * math.pi)


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Angles (items, rows, columns) with the given differences along each item's maximum spanning forest, within [0, 2π].

    `weight` (items, rows, columns), from 0 to 1 and normal when cubed: bins of weight 0 belong to no tree and get 0. `down`
    (items, rows − 1, columns) and `right` (items, rows, columns − 1): angle of the next row or column minus that of this one.
    Each tree's loudest bin gets 0. Deterministic; without gradient; the host reads one flag for each pass.
    """
    items, rows, columns = weight.shape
    n_bins = rows * columns
    # Edge e leads from bin e down, edge n_bins + e from bin e to the right; those that would leave the grid weigh nothing.
    # The quieter end counts twice: it is the less reliable one. Among a bin's edges to louder bins the loudest is then the best.
    edges = []
    for dim, padding in ((1, (0, 0, 0, 1)), (2, (0, 1))):
        one, other = weight.narrow(dim, 0, weight.shape[dim] - 1), weight.narrow(dim, 1, weight.shape[dim] - 1)
        low = torch.minimum(one, other)
        edges.append(pad(low * low * torch.maximum(one, other), padding).reshape(items, n_bins))
    rank, edge_of = _ranks(torch.cat(edges, -1))
    ranks = {columns: rank[:, : n_bins - columns], 1: rank[:, n_bins:-1]}
    steps = torch.cat([pad(down, (0, 0, 0, 1)).reshape(items, n_bins), pad(right, (0, 1)).reshape(items, n_bins)], -1)

    bins = torch.arange(n_bins, device=weight.device).expand(items, n_bins)
    root, angle = bins, torch.zeros_like(steps[:, :n_bins])
    while True:
        best = torch.full_like(root, -1)
        for reach, known in ranks.items():
            leaving = torch.where(root[:, reach:] != root[:, :-reach], known, -1)
            for side in (best[:, reach:], best[:, :-reach]):
                side.copy_(torch.maximum(side, leaving))
        best = torch.full_like(root, -1).scatter_reduce_(-1, root, best, "amax")  # of each tree, at its root
        merges = best >= 0
        if not merges.any():
            return _start_at_loudest(weight.reshape(items, n_bins), root, angle).reshape(weight.shape)
        edge = edge_of.gather(-1, best.clamp(min=0))
        start = edge.remainder(n_bins)
        end = (start + torch.where(edge < n_bins, columns, 1)).clamp(max=n_bins - 1)
        roots = root.gather(-1, start), root.gather(-1, end)
        rise = angle.gather(-1, start) + steps.gather(-1, edge) - angle.gather(-1, end)  # from the start's root to the end's
        outward = roots[0] == bins
        parent = torch.where(merges, torch.where(outward, roots[1], roots[0]), root)
        moved = torch.where(merges, torch.where(outward, -rise, rise), angle).remainder(2 * math.pi)
        # Two trees that took the same edge point at each other: the one that comes first stays a root.
        stays = merges & (parent.gather(-1, parent) == bins) & (bins < parent)
        root, angle = _flatten(torch.where(stays, bins, parent), torch.where(stays, 0, moved))
