"""The share of one process in the work, as torchrun or SLURM's srun assigns it.

Processes do not communicate. A share follows from the names, the rank and the world size.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch

from torchmelinv.errors import InputError

__all__ = ["World", "launched_world", "shard"]

Name = TypeVar("Name")

# The variables of torchrun and of srun: rank, size, local rank. In a batch script without srun,
# SLURM_NTASKS counts the tasks that srun would start; SLURM_STEP_NUM_TASKS is set by srun alone.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)


class World(NamedTuple):
    """The processes of a launch and the place of this process among them.

    Args:
        rank: Rank of this process among all.
        size: Number of processes on all machines.
        local_rank: Rank of this process among those of its machine.

    Example:
        >>> from torchmelinv.corpus import World
        >>> str(World(rank=1, size=4))
        'rank 1 of 4'
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.size}"


SINGLE_PROCESS = World()


def launched_world(environment: Mapping[str, str] = os.environ) -> World:
    """Read the world from the environment variables of a launcher.

    Tasks of a SLURM job array are single processes, because many jobs give each of them files of
    its own. To share the same files among them, set ``RANK=$SLURM_ARRAY_TASK_ID`` and
    ``WORLD_SIZE=$SLURM_ARRAY_TASK_COUNT`` for an array that starts with 0.

    Args:
        environment: Variables, with RANK, WORLD_SIZE and LOCAL_RANK from torchrun or by hand, else
            SLURM_PROCID, SLURM_STEP_NUM_TASKS and SLURM_LOCALID from srun.

    Returns:
        The world, or `SINGLE_PROCESS` without WORLD_SIZE and SLURM_STEP_NUM_TASKS.

    Raises:
        InputError: If the variables are not integers with the rank below the size.

    Example:
        >>> from torchmelinv.corpus import launched_world
        >>> launched_world({"RANK": "1", "WORLD_SIZE": "4"})
        World(rank=1, size=4, local_rank=0)
    """
    for variables in _LAUNCHERS:
        if not environment.get(variables[1]):
            continue
        numbers = [environment.get(name) or "0" for name in variables]
        if not all(map(str.isdecimal, numbers)) or not int(numbers[0]) < int(numbers[1]):
            given = ", ".join(f"{name}={environment.get(name)!r}" for name in variables)
            raise InputError(
                f"the launcher set {given}; they must be integers with {variables[0]} below "
                f"{variables[1]} (for a single process, unset them)"
            )
        return World(*map(int, numbers))
    return SINGLE_PROCESS


def shard(names: Sequence[Name], world: World) -> list[Name]:
    """Select the share of one process.

    Args:
        names: Sortable names, in any order.
        world: The process.

    Returns:
        Every `size`-th of the sorted names. Each name belongs to exactly one rank.

    Example:
        >>> from torchmelinv.corpus import World, shard
        >>> shard(["c", "a", "b"], World(rank=0, size=2))
        ['a', 'c']
    """
    return sorted(names)[world.rank :: world.size]  # type: ignore[type-var]


def local_device(name: str, world: World) -> str:
    """Assign the GPUs of a machine to its processes.

    Args:
        name: Name of a device.
        world: The process.

    Returns:
        ``"cuda:<index>"`` for ``"cuda"`` in a world of several processes; any other name as it is.
    """
    if name != "cuda" or world.size == 1 or not torch.cuda.is_available():
        return name
    return f"cuda:{world.local_rank % torch.cuda.device_count()}"
