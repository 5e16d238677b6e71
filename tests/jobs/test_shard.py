"""The parts of the work: each name in exactly one, whatever its place in the list."""

from __future__ import annotations

import pytest

from torchmelinv.errors import InputError
from torchmelinv.jobs.shard import ALONE, World, launched_world, own_device, shard

NAMES = [f"clip_{number}" for number in range(23)]


@pytest.mark.parametrize("size", [1, 2, 5, 23, 40])
def test_every_name_belongs_to_one_rank(size):
    parts = [shard(NAMES, World(rank, size)) for rank in range(size)]
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parts == [shard(NAMES[::-1], World(rank, size, 7)) for rank in range(size)]


def test_the_launcher_says_which():
    assert launched_world({}) == ALONE == World(0, 1, 0)
    assert launched_world({"RANK": "3"}) == ALONE  # a launcher says both
    world = launched_world({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    assert world == (3, 4, 1)
    assert str(world) == "rank 3 of 4"


@pytest.mark.parametrize("said", [
    {"WORLD_SIZE": "2", "RANK": "2"}, {"WORLD_SIZE": "two", "RANK": "0"}, {"WORLD_SIZE": "0"}, {"WORLD_SIZE": "2", "RANK": "-1"},
])
def test_nonsense_from_a_launcher(said):
    with pytest.raises(InputError, match="RANK below WORLD_SIZE"):
        launched_world(said)


def test_cuda_is_another_gpu_to_each_process(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [own_device("cuda", World(rank, 4, rank)) for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert own_device("cuda", ALONE) == "cuda"
    assert own_device("cuda:1", World(0, 2, 0)) == "cuda:1"
    assert own_device("cpu", World(0, 2, 0)) == "cpu"
