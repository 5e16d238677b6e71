"""The maximum spanning forest in a fixed number of operations: no value is looked at.

The rounds are those of `spanning_forest.py`, always the same number of them, over the whole grid.
Edges inside a tree have the key 0. Each round joins trees along chains of best edges, of which as
many jumps as the round has (`turns.py`) follow up to 2 ** jumps. Whatever is left of a longer chain
stays a group of its own, with angles relative to one bin, and goes on in the next round. All angles
are sums along edges of the forest, because the best edge that leaves a set of bins is in the
forest, whether the set is connected or not. Too few rounds or jumps leave trees in parts, each with
angles of its own, but make no difference wrong within a part.

Sums of angles are exact, as integers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.phase.turns import follow, jump, sizes_are_known, to_radians, to_turns

_JUMPS = (11, 7, 5, 4, 4, 3, 3, 2)
_LOW_33 = 2**33 - 1


def _ends(n: int, columns: int, device: torch.device) -> Tensor:
    """Return both ends of each edge, (2 n, 2): n edges from the row before, n from the column
    before. Bin 0, which has no edge, stands for ends that do not exist."""
    bins = torch.arange(n, device=device)
    before = torch.stack([bins - columns, bins - 1]).clamp(min=0)
    return torch.stack([before, bins.expand(2, n)], -1).flatten(0, 1)


def _at(values: Tensor, numbers: Tensor) -> Tensor:
    """Return the values (…, items, n) at the same numbers (…) of all items, (…, items, *numbers)."""
    index = numbers.flatten().expand(*values.shape[:-1], -1)
    return values.gather(-1, index).unflatten(-1, numbers.shape)


def _keys(weight: Tensor, ends: Tensor) -> Tensor:
    """Return the keys of all edges in both directions, (items, 2 n, 2); 0 where there is none.

    They are ordered like those of `spanning_forest.py`: by the exponent of the weight and 11 bits
    of its fraction, here by arithmetic, and then by position. The lowest bit is the direction.
    """
    of_ends = _at(weight, ends)
    low = of_ends.amin(-1)
    weights = (low * low * of_ends.amax(-1)).float()
    exponent = weights.log2().floor()
    # From 2048 to 4095; if the logarithm was rounded to the next exponent, the sum is the same.
    fraction = (weights * (11 - exponent).exp2()).floor()
    rounded = torch.add(fraction, exponent, alpha=2048).long()
    numbers = torch.arange(2**18 << 33, (2**18 << 33) + 2 * ends.shape[0], device=weight.device)
    keys = (rounded << 33)[..., None] + numbers.reshape(-1, 2)
    return torch.where((weights > 0)[..., None], keys, 0)


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return the angles of `spanning_forest.integrate_angles`, to rounding."""
    items, rows, columns = weight.shape
    # A row and a column of silence before the others make every bin alike.
    bordered = pad(weight, (1, 0, 1, 0)).flatten(1)
    n = (rows + 1) * (columns + 1)
    ends = _ends(n, columns + 1, weight.device)
    key = _keys(bordered, ends).flatten(1)
    rise = to_turns(torch.stack([pad(down, (1, 0, 2, 0)), pad(right, (2, 0, 1, 0))], 1).flatten(1))
    # The angle of the first end minus that of the second; then the other way around.
    step = torch.stack([-rise, rise], -1).flatten(1)
    bins = torch.arange(n, device=weight.device).expand(items, n)
    zeros = torch.zeros_like(bins)
    alone = torch.stack([bins, zeros])
    groups = alone
    for n_jumps in _JUMPS:
        # Of both ends: the group, and the angle relative to it.
        start = _at(groups, ends)
        end = start.flip(-1).flatten(2)
        start = start.flatten(2)
        end[1].sub_(start[1]).add_(step)
        best = zeros.scatter_reduce(-1, start[0], key * (start[0] != end[0]), "amax")
        joined = end.gather(-1, (best & _LOW_33).expand(2, items, n))
        # Of two groups with the same best edge one has the larger key, and stays; any other group
        # joins one with a larger key.
        joins = best.gather(-1, joined[0]) > best
        groups = follow(groups, jump(torch.where(joins, joined, alone), n_jumps))
    return _from_loudest(groups, bordered, bins, weight.dtype).reshape(items, rows + 1, columns + 1)[:, 1:, 1:]


def _from_loudest(groups: Tensor, weight: Tensor, bins: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the angles relative to each tree's loudest bin, the first of equal ones."""
    tree, angle = groups
    loudest = torch.zeros_like(weight).scatter_reduce(-1, tree, weight, "amax")
    candidate = torch.where(weight == loudest.gather(-1, tree), bins, weight.shape[-1] - 1)
    first = torch.full_like(bins, weight.shape[-1] - 1).scatter_reduce(-1, tree, candidate, "amin")
    return to_radians(angle - angle.gather(-1, first.gather(-1, tree)), dtype)
