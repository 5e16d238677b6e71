"""Time functions against each other, and count the bytes that autograd saves."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.records import Record

THREADS = 2
REPEATS = 5
SECONDS_OF_A_RUN = 0.5
MAX_BACKGROUND_LOAD = 0.05  # part of the machine that other processes may use in a valid round
CLOCK_TICK = 0.03  # seconds; the system's clocks tick every hundredth of a second

Seconds = dict[str, list[float]]  # the runs of each function, by its name


def alternate(
    functions: dict[str, Callable[[], object]], repeats: int = REPEATS, patience: float = 600
) -> tuple[Seconds, Record]:
    """Time functions in the order A B C A B C …, so that a drift of the machine affects all.

    A run repeats the function for half a second; its time is that of one call. Each run follows a
    call of the same function that is not timed: after a library that leaves a core idle, the next
    one would otherwise lose up to a third of its speed. The second result is that of
    `quiet_rounds`.
    """
    seconds: Seconds = {name: [] for name in functions}

    def run_round() -> None:
        for name, function in functions.items():
            function()
            calls, elapsed, start = 0, 0.0, time.perf_counter()
            while calls == 0 or elapsed < SECONDS_OF_A_RUN:
                function()
                calls, elapsed = calls + 1, time.perf_counter() - start
            seconds[name].append(round(elapsed / calls, 6))

    return seconds, quiet_rounds(run_round, seconds, repeats, patience)


def quiet_rounds(
    run_round: Callable[[], None], seconds: Seconds, repeats: int, patience: float
) -> Record:
    """Run rounds, each of which appends to `seconds`, until `repeats` of them were quiet.

    A round in which other processes used more than 5 % of the machine is discarded as a whole and
    repeated after a pause, for at most `patience` seconds in all. Returns the number of discarded
    rounds and the largest load by other processes in the rounds that were kept.
    """
    loads: list[float] = []
    discarded, deadline = 0, time.perf_counter() + patience
    while len(loads) < repeats:
        load = background_load(run_round)
        if load > MAX_BACKGROUND_LOAD and time.perf_counter() < deadline:
            discarded += 1
            for runs in seconds.values():
                runs.pop()
            time.sleep(1)
        else:
            loads.append(load)
    return {"discarded": discarded, "background_load": round(max(loads), 3)}


def background_load(function: Callable[[], object]) -> float:
    """Return the part of the processor time that other processes use while a function runs."""
    start, (machine_before, process_before) = time.perf_counter(), _processor_seconds()
    function()
    (machine_after, process_after), elapsed = _processor_seconds(), time.perf_counter() - start
    others = (machine_after - machine_before) - (process_after - process_before) - CLOCK_TICK
    return max(0.0, others / (elapsed * (os.cpu_count() or 1)))


def _processor_seconds() -> tuple[float, float]:
    """Return processor seconds used on this machine, and by this process and its children.

    Both are 0 where the system has no /proc/stat.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0, 0.0
    first_line = stat.read_text(encoding="utf-8").split("\n", 1)[0]
    user, nice, system, _, _, *rest = (int(ticks) for ticks in first_line.split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def ratio(seconds: Seconds, numerator: str, denominator: str) -> float:
    """Return the ratio of two functions' median times."""
    return statistics.median(seconds[numerator]) / statistics.median(seconds[denominator])


def ratios(seconds: Seconds, ours: str) -> dict[str, float]:
    """Return the median time of every other function, divided by that of `ours`."""
    return {name: round(ratio(seconds, name, ours), 3) for name in seconds if name != ours}


def saved_bytes(function: Callable[[], object]) -> int:
    """Return the bytes that autograd saves for backward in a call; each storage counts once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function()
    return sum(storages.values())
