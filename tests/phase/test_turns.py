"""Angles as integers: full turns vanish, and sums along chains are exact in any order."""

from __future__ import annotations

import math

import torch

from torchmelinv.phase.turns import TURN, jump, jumps_along, to_radians, to_turns


def test_radians_survive_but_for_full_turns():
    angles = 50 * torch.randn(1000, dtype=torch.float64)
    result = to_radians(to_turns(angles), torch.float64)
    assert ((result >= 0) & (result <= 2 * math.pi)).all()
    torch.testing.assert_close((result - angles).cos(), torch.ones_like(angles), atol=1e-12, rtol=0)


def test_jumps_add_up_a_chain_bit_for_bit():
    for length in (1, 2, 3, 64, 65, 100):
        numbers = torch.arange(length)
        turns = torch.randint(-(2**60), 2**60, (length,))
        turns[0] = 0
        chains = torch.stack([(numbers - 1).clamp(min=0), turns])
        first, total = jump(chains, jumps_along(length - 1))
        assert (first == 0).all()
        assert torch.equal(total % TURN, turns.cumsum(0) % TURN)


def test_too_few_jumps_give_the_sum_so_far():
    chains = torch.stack([torch.arange(-1, 9).clamp(min=0), torch.ones(10, dtype=torch.int64)])
    chains[1, 0] = 0
    start, total = jump(chains, 2)
    assert start.tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert total.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
