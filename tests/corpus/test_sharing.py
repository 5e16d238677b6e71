"""The shares of all processes hold each mel once; a large file is shared by all."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.corpus import sharing
from torchmelinv.corpus.file_inversion import invert_files, split_tasks
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.corpus.sharding import World
from torchmelinv.corpus.sharing import share_tasks
from torchmelinv.invert import MelInverter

pytestmark = pytest.mark.usefixtures("workplace")
MELS = torch.stack([tiny_mel(0.03, seed=seed) for seed in range(7)])
INVERTER = MelInverter(TINY, n_iter=1)


def save(suffix=".npy", mels=MELS):
    path = Path("in", f"b_many{suffix}")
    path.parent.mkdir(exist_ok=True)
    if suffix == ".npy":
        np.save(path, mels.numpy())
    elif suffix == ".npz":
        np.savez(path, mel=mels.numpy(), other=np.zeros(3))
    elif suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file(
            {"mel": mels, "other": torch.zeros(3)}, path
        )
    else:
        torch.save({"mel": mels}, path)
    for name in "ac":
        np.save(f"in/{name}.npy", MELS[0].numpy())
    return plan(["in"], "out")


def invert(tasks, world=None):
    """Names of the outputs of an earlier run, and of those that this run makes."""
    with Manifest(Path("out"), inversion_settings(INVERTER), world or World()) as manifest:
        skipped, remaining = split_tasks(tasks, TINY.n_mels, manifest)
        new = list(invert_files(remaining, INVERTER, manifest=manifest))
    assert all(outcome.error is None for outcome in new)
    return [sorted(Path(each.output).stem for each in group) for group in (skipped, new)]


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors"])
@pytest.mark.parametrize("size", [1, 2, 3, 12])
def test_ranks_share_a_large_file(monkeypatch, suffix, size):
    monkeypatch.setattr(sharing, "_LARGE", 1)
    tasks = save(suffix)
    made = [
        invert(share_tasks(tasks, World(rank, size)), World(rank, size))[1] for rank in range(size)
    ]
    names = ["a", *(f"b_many_{index}" for index in range(7)), "c"]
    assert sorted(itertools.chain(*made)) == names
    assert max(map(len, made)) - min(map(len, made)) <= 2
    assert invert(tasks) == [names, []]


def test_small_files_have_one_process():
    tasks = save()
    assert [share_tasks(tasks, World(rank, 2)) for rank in range(2)] == [tasks[::2], tasks[1::2]]


@pytest.mark.parametrize(
    ("shape", "count"), [((7, 8, 16), 1), ((7, 1, 8, 16), 7), ((16, 8, 16), 1)]
)
def test_channels_of_a_recording_are_not_shared(monkeypatch, shape, count):
    monkeypatch.setattr(sharing, "_LARGE", 1)
    np.save("x.npy", np.zeros(shape, dtype=np.float32))
    shares = [
        share_tasks([Task(Path("x.wav"), Path("x.npy"))], World(rank, 9), True) for rank in range(9)
    ]
    assert sum(map(len, shares)) == count


def test_broken_and_missing_files_have_one_process(monkeypatch):
    monkeypatch.setattr(sharing, "_LARGE", 1)
    Path("broken.npy").write_bytes(b"broken" * 10)
    Path("mel.csv").write_bytes(b"broken" * 10)
    names = ("broken.npy", "none.npy", "mel.csv")
    tasks = [Task(Path(f"out/{name}.wav"), Path(name)) for name in names]
    shares = [share_tasks(tasks, World(rank, 2)) for rank in range(2)]
    assert sorted(itertools.chain(*shares)) == sorted(tasks)


def test_a_file_is_resumed_where_it_stopped():
    save()
    tasks = [task for task in plan(["in"], "out") if "many" in task.source.name]
    with Manifest(Path("out"), inversion_settings(INVERTER)) as manifest:
        outcomes = invert_files(split_tasks(tasks, 8, manifest)[1], INVERTER, manifest=manifest)
        next(outcomes)
        outcomes.close()
    written = sorted(path.stem for path in Path("out").glob("*.wav"))
    assert 0 < len(written) < 7
    (task,) = split_tasks(tasks, 8, None)[1]
    assert task.n_frames == 7 * MELS.shape[-1]
    with Manifest(Path("out"), inversion_settings(INVERTER)) as manifest:
        (task,) = split_tasks(tasks, 8, manifest)[1]
    assert task.n_frames == (7 - len(written)) * MELS.shape[-1]
    skipped, new = invert(tasks)
    assert skipped == written
    assert sorted([*skipped, *new]) == [f"b_many_{index}" for index in range(7)]
