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

from torchmelinv.phase.turns import (
    LONGEST_TRACED,
    follow,
    jump,
    jumps_along,
    sizes_are_known,
    to_radians,
    to_turns,
)

_LOW_33 = 2**33 - 1


def _jumps(rows: int, columns: int) -> list[int]:
    """Return the number of jumps of each round.

    Found on speech, music, tones, glides, clicks, flat and decaying sounds and noise. The first
    rounds need most jumps, where a tone or a flat magnitude makes one chain of all frames. White
    noise needs most rounds: 8 or 9 for 10 s of hifigan_22k, 11 for a minute. Of independent random
    weights, a fifth needs one more.
    """
    chain, bits = jumps_along(LONGEST_TRACED), (LONGEST_TRACED * columns).bit_length()
    if sizes_are_known(rows, columns):
        chain, bits = jumps_along(max(rows, columns)), (rows * columns).bit_length()
    rounds = max(9, bits // 2)
    return [chain + 1, chain, 4, 4, 4, *[3] * (rounds - 7), 2, 1][: max(1, bits)]


def _ends(n: int, columns: int, device: torch.device) -> Tensor:
    """Return both ends of each edge, (2 n, 2): n edges from the row before, n from the column
    before. Bin 0, which has no edge, stands for ends that do not exist."""
    bins = torch.arange(n, device=device)
    before = torch.stack([bins - columns, bins - 1]).clamp(min=0)
    return torch.stack([before, bins.expand(2, n)], -1).flatten(0, 1)


def _at(values: Tensor, numbers: Tensor) -> Tensor:
    """Return the values (…, items, n) at numbers that all items share, (…, items, *numbers)."""
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
    fraction = (weights * (-exponent).exp2() * 2048).floor()
    rounded = torch.add(fraction, exponent, alpha=2048).long()
    numbers = torch.arange(2**18 << 33, (2**18 << 33) + 2 * ends.shape[0], device=weight.device)
    keys = (rounded << 33)[..., None] + numbers.reshape(-1, 2)
    return keys.masked_fill((weights <= 0)[..., None], 0)


def _joined(key: Tensor, start: Tensor, end: Tensor, alone: Tensor, n_jumps: int) -> Tensor:
    """Join groups along their best edges.

    Args:
        key: Keys of the edges, (items, m); 0 for those within a group.
        start: Group at the start of each edge, (items, m).
        end: Group at its end, and the angle of the start's group relative to that one, (2, items,
            m).
        alone: Each bin as a group, with angle 0, (2, items, n).
        n_jumps: Number of jumps.

    Returns:
        The group that each group becomes part of, and the angle relative to it, (2, items, n).
    """
    best = alone[1].scatter_reduce(-1, start, key, "amax")
    joined = end.gather(-1, (best & _LOW_33).expand_as(alone))
    # Of two groups with the same best edge one has the larger key and stays; any other joins one of
    # a larger key. Edge 0 ends in bin 0, which has no key.
    joins = best.gather(-1, joined[0]) > best
    return jump(torch.where(joins, joined, alone), n_jumps)


def _from_loudest(groups: Tensor, weight: Tensor, bins: Tensor) -> Tensor:
    """Return the angles relative to each tree's loudest bin, the first of equal ones."""
    tree, angle = groups
    loudest = weight.scatter_reduce(-1, tree, weight, "amax")
    candidate = bins.masked_fill(weight != loudest.gather(-1, tree), weight.shape[-1] - 1)
    first = candidate.scatter_reduce(-1, tree, candidate, "amin")
    return to_radians(angle - angle.gather(-1, first.gather(-1, tree)), weight.dtype)


def integrate_angles(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return the angles of `spanning_forest.integrate_angles`, to rounding."""
    # A row and a column of silence before the others: edges that would leave the grid have no key.
    shape = (weight.shape[0], weight.shape[1] + 1, weight.shape[2] + 1)
    weight = pad(weight, (1, 0, 1, 0)).flatten(1)
    items, n = weight.shape
    ends = _ends(n, shape[2], weight.device)
    key = _keys(weight, ends).flatten(1)
    rise = to_turns(torch.stack([pad(down, (1, 0, 2, 0)), pad(right, (2, 0, 1, 0))], 1).flatten(1))
    # The angle of the start minus that of the end, in both directions.
    step = torch.stack([-rise, rise], -1).flatten(1)
    bins = torch.arange(n, device=weight.device).expand(items, n)
    alone = torch.stack([bins, torch.zeros_like(bins)])
    directed = torch.stack([ends, ends.flip(-1)]).flatten(1)
    start, end = directed[:, None].expand(2, items, -1)
    n_jumps, *others = _jumps(shape[1] - 1, shape[2] - 1)
    groups = _joined(key, start, torch.stack([end, step]), alone, n_jumps)
    for n_jumps in others:
        of_ends = _at(groups, directed)
        start, end = of_ends[:, :, 0], of_ends[:, :, 1]
        end[1].sub_(start[1]).add_(step)
        leaving = key * (start[0] != end[0])
        groups = follow(groups, _joined(leaving, start[0], end, alone, n_jumps))
    return _from_loudest(groups, weight, bins).reshape(shape)[:, 1:, 1:]
