"""Staging folders: what killed runs left is removed, and never that of a rank at work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tiny import workplace  # noqa: F401
from torchmelinv.corpus.manifest import Manifest
from torchmelinv.corpus.planning import Task
from torchmelinv.corpus.sharding import World

pytestmark = [
    pytest.mark.usefixtures("workplace"),
    pytest.mark.skipif(os.name == "nt", reason="locks and pipes of Unix"),
]
OUT = Path("out")
SETTINGS = {"version": "1"}


def test_each_leftover_of_killed_runs_is_removed_by_one_rank():
    for rank in range(4):
        (OUT / f".staging-{rank}").mkdir(parents=True)
        (OUT / f".staging-{rank}" / ".half.wav").write_bytes(b"half")
    with Manifest(OUT, SETTINGS, World(1, 2)):
        assert sorted(path.name for path in OUT.glob(".staging-*")) == [".staging-0", ".staging-2"]
    with Manifest(OUT, SETTINGS):
        assert not list(OUT.glob(".staging-*"))


@pytest.mark.parametrize("size", [1, 3])
def test_the_staging_of_a_rank_at_work_stays(size):
    """Two jobs of different worlds share the folder; a killed one has no lock."""
    live = Manifest(OUT, SETTINGS, World(3, 4))
    dead = OUT / ".staging-6"
    with live:
        for folder in (live.staging, dead):
            folder.mkdir(parents=True)
            (folder / ".half.wav").write_bytes(b"half")
        (OUT / "manifest-6.jsonl").touch()
        with Manifest(OUT, SETTINGS, World(0, size)):
            assert live.staging.is_dir()
            assert not dead.exists()
    (OUT / ".staging-3").mkdir()
    with Manifest(OUT, SETTINGS, World(0, size)):
        assert not (OUT / ".staging-3").exists()


def test_what_stands_at_the_place_of_the_staging_is_removed():
    OUT.mkdir()
    os.mkfifo(OUT / ".staging-0")
    with Manifest(OUT, SETTINGS) as manifest:
        manifest.staging.mkdir()


def test_leftovers_beside_outputs_on_another_disk_are_removed():
    task = Task(OUT / "deep" / "a.wav", Path("a.npy"))
    staging = OUT / "deep" / ".staging-0"
    staging.mkdir(parents=True)
    with Manifest(OUT, SETTINGS) as manifest:
        manifest.done_entries(task)
        assert not staging.exists()
        staging.mkdir()  # by `atomic_write`
    assert not staging.exists()
