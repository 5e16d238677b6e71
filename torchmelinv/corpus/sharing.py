"""The share of one process in the mels of all files: whole files, and parts of large ones."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch

from torchmelinv.corpus.loading import split_mels
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import World
from torchmelinv.errors import TorchmelinvError
from torchmelinv.io.mels import mel_shape

__all__ = ["share_tasks"]

_LARGE = 2**22  # bytes; less is done by one process before another one has read it


def share_tasks(tasks: Iterable[Task], world: World, channels: bool = False) -> list[Task]:
    """Select the share of one process: every `size`-th file, and of large files some mels.

    Args:
        tasks: All tasks, from `plan`.
        world: The process.
        channels: The dimension before a mel's last two has the channels of one recording.

    Returns:
        Sorted tasks. Each mel belongs to exactly one rank.

    Example:
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Task, World, share_tasks
        >>> tasks = [Task(Path(f"{name}.wav"), Path(f"{name}.npy")) for name in "abc"]
        >>> [task.source.name for task in share_tasks(tasks, World(rank=1, size=2))]
        ['b.npy']
    """
    own = []
    for position, task in enumerate(sorted(tasks)):
        first = (world.rank - position) % world.size
        count = _count(task, channels) if world.size > 1 else 1
        if first < count:
            own.append(task._replace(first=first, step=world.size) if count > 1 else task)
    return own


def _count(task: Task, channels: bool) -> int:
    """Return the number of mels in a large file, 1 for others: every rank must find the same."""
    try:
        if task.entry or os.stat(task.source).st_size < _LARGE:
            return 1
        shape = mel_shape(task.source, task.layout)
        return len(split_mels(torch.empty(shape, device="meta"), channels))
    except (TorchmelinvError, OSError, ValueError, RuntimeError):  # reading it gives the reason
        return 1
