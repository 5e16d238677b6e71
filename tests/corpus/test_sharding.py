"""Shares of the work: each name belongs to exactly one rank, in whatever order the names come."""

from __future__ import annotations

import pytest

from torchmelinv.corpus.sharding import (
    SINGLE_PROCESS,
    World,
    launched_world,
    local_device,
    shard,
)
from torchmelinv.errors import InputError

NAMES = [f"clip_{number}" for number in range(23)]


@pytest.mark.parametrize("size", [1, 2, 5, 23, 40])
def test_every_name_belongs_to_one_rank(size):
    shares = [shard(NAMES, World(rank, size)) for rank in range(size)]
    assert sorted(name for share in shares for name in share) == sorted(NAMES)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shares == [shard(NAMES[::-1], World(rank, size, 7)) for rank in range(size)]


def test_the_world_is_read_from_the_environment():
    assert launched_world({}) == SINGLE_PROCESS == World(0, 1, 0)
    assert launched_world({"RANK": "3"}) == SINGLE_PROCESS  # a launcher sets both
    world = launched_world({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    assert world == (3, 4, 1)
    assert str(world) == "rank 3 of 4"


def test_the_world_of_slurm():
    step = {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}
    assert launched_world(step) == (5, 8, 1)
    # torchrun within a task of srun.
    assert launched_world({**step, "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "3"}) == (3, 4, 3)
    # A batch script that starts the program itself is one process, whatever the job asked for.
    script = {"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}
    assert launched_world(script) == SINGLE_PROCESS
    array = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}
    assert launched_world({**script, **array}) == SINGLE_PROCESS
    with pytest.raises(InputError, match="SLURM_PROCID below SLURM_STEP_NUM_TASKS"):
        launched_world({**step, "SLURM_PROCID": "8"})


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_SIZE": "2", "RANK": "2"},
        {"WORLD_SIZE": "two", "RANK": "0"},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": "2", "RANK": "-1"},
    ],
)
def test_an_invalid_environment_is_refused(environment):
    with pytest.raises(InputError, match="RANK below WORLD_SIZE"):
        launched_world(environment)


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    devices = [local_device("cuda", World(rank, 4, rank)) for rank in range(4)]
    assert devices == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert local_device("cuda", SINGLE_PROCESS) == "cuda"
    assert local_device("cuda:1", World(0, 2, 0)) == "cuda:1"
    assert local_device("cpu", World(0, 2, 0)) == "cpu"
