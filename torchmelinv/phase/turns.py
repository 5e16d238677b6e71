"""Angles as integers, 2⁴⁴ to a turn, and their sums along chains of references.

Sums of integers are exact, so they do not depend on the order of the additions, and full turns need
no removal: an overflow drops a whole number of turns. A sum along a chain then takes few steps in
any order. If each element knows the sum up to an element before it, and that one the sum up to one
before it, the two sums add up, and the reference reaches twice as far (pointer jumping).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TURN = 2**44

# A traced graph does not know its sizes, so it has jumps for chains of so many references.
LONGEST_TRACED = 2**16


def to_turns(radians: Tensor) -> Tensor:
    """Return angles as integers."""
    return (radians * (TURN / (2 * math.pi))).long()


def to_radians(turns: Tensor, dtype: torch.dtype) -> Tensor:
    """Return angles in radians, within [0, 2π]."""
    return (turns & (TURN - 1)).to(dtype) * (2 * math.pi / TURN)


def sizes_are_known(*sizes: int) -> bool:
    """Return whether the host knows these sizes; a graph traced for any size does not."""
    return not torch.compiler.is_dynamo_compiling() and all(type(size) is int for size in sizes)


def jumps_along(longest: int) -> int:
    """Return the number of jumps along a chain of so many references."""
    return (max(1, longest if sizes_are_known(longest) else LONGEST_TRACED) - 1).bit_length()


def follow(chains: Tensor, onward: Tensor) -> Tensor:
    """Replace each reference by that of the element it refers to, and add the angles.

    Args:
        chains: Of each element, the number of another and the angle relative to it in turns,
            (2, …, n).
        onward: The same, of the elements referred to.

    Returns:
        The same, relative to the elements that those refer to.
    """
    followed = onward.gather(-1, chains[:1].expand_as(chains))
    followed[1].add_(chains[1])
    return followed


def jump(chains: Tensor, n_jumps: int) -> Tensor:
    """Follow references again and again; each jump doubles their distance.

    Args:
        chains: As in `follow`. The last element of a chain refers to itself, with angle 0.
        n_jumps: Number of jumps.

    Returns:
        The same, relative to the last element or to that which is 2 ** n_jumps further.
    """
    for _ in range(n_jumps):
        chains = follow(chains, chains)
    return chains
