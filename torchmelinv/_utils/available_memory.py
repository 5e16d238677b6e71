"""Memory that runs out: how much there is, and the errors that mean it."""

from __future__ import annotations

import math
from pathlib import Path

_GROUPS = (  # limit and use of a container, by version of its control groups
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def _number(path: Path) -> float:
    """Return the number in a file, infinity if there is none."""
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return math.inf


def available_memory(
    system: Path = Path("/proc/meminfo"), groups: Path = Path("/sys/fs/cgroup")
) -> float:
    """Return the bytes that can be allocated before the system ends processes.

    An allocation beyond them may succeed: the process ends later, when it fills the memory.

    Args:
        system: Linux's table of the machine's memory.
        groups: Linux's folder of the container's memory.

    Returns:
        Bytes; infinity where the system does not tell.
    """
    available = [math.inf]
    try:
        rows = dict(line.split(":") for line in system.read_text().splitlines())
        available.append(1024 * float(rows["MemAvailable"].split()[0]))
    except (OSError, ValueError, KeyError):
        pass
    for limit, use in _GROUPS:
        most, used = _number(groups / limit), _number(groups / use)
        if math.isfinite(used):  # it includes files that the system has cached and can drop
            available.append(most - used + _cached(groups / use))
    return max(0.0, min(available))


def _cached(use: Path) -> float:
    """Return the bytes of cached files in a container."""
    try:
        rows = dict(line.split() for line in use.with_name("memory.stat").read_text().splitlines())
        return float(rows.get("inactive_file", 0))
    except (OSError, ValueError):
        return 0.0


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out.

    Args:
        error: Any error. Torch's CPU allocator raises a RuntimeError that names it.

    Returns:
        True if memory ran out.
    """
    import torch  # late: the command line starts without it

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
