"""Which part of the work is this process's: what a launcher such as torchrun says in the environment, and nothing else.

No process talks to another: a shard follows from the names, the rank and the size of the world.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch

from torchmelinv.errors import InputError

Name = TypeVar("Name")


class World(NamedTuple):
    """The processes of a launch, on all machines, and this one's place among them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"


ALONE = World()


def launched_world(environment: Mapping[str, str] = os.environ) -> World:
    """What RANK, WORLD_SIZE and LOCAL_RANK say; alone where there is no WORLD_SIZE."""
    if not environment.get("WORLD_SIZE"):
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    words = [environment.get(name) or "0" for name in names]
    given = ", ".join(f"{name}={environment.get(name)!r}" for name in names)
    if not all(word.isdecimal() for word in words) or not int(words[0]) < int(words[1]):
        raise InputError(f"the launcher set {given}; they must be whole numbers with RANK below WORLD_SIZE (alone: unset all)")
    return World(*map(int, words))


def shard(names: Sequence[Name], world: World) -> list[Name]:
    """This process's part: every `size`-th of the sorted names, so that each belongs to exactly one rank."""
    return sorted(names)[world.rank :: world.size]  # type: ignore[type-var]


def own_device(name: str, world: World) -> str:
    """`cuda` means another GPU to each process of a machine; any other name means what it says."""
    if name != "cuda" or world.size == 1 or not torch.cuda.is_available():
        return name
    return f"cuda:{world.local_rank % torch.cuda.device_count()}"
