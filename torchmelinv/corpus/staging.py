"""Folders of audio that is being written, and the removal of what killed runs left in them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torchmelinv.corpus.locking import idle_rank
from torchmelinv.corpus.sharding import World


def manifest_path(folder: Path, rank: int | str) -> Path:
    """Return the path of a rank's manifest in an output folder."""
    return folder / f"manifest-{rank}.jsonl"


class Staging:
    """The staging folder of a rank, and those beside outputs on other disks.

    Args:
        folder: The output folder.
        world: The process.

    Attributes:
        path: The staging folder in the output folder.
    """

    def __init__(self, folder: Path, world: World) -> None:
        self.path = folder / f".staging-{world.rank}"
        self._folder, self._world = folder, world
        self._cleaned: set[Path] = set()

    def make_way(self) -> None:
        """Remove a link or a file at the path, so that nothing is written outside the folder."""
        if self.path.is_symlink() or (os.path.lexists(self.path) and not self.path.is_dir()):
            self.path.unlink()

    def clean(self, folder: Path) -> None:
        """Remove, once, the staging folders in a folder that belong to this rank.

        Every one belongs to exactly one rank. That of a rank that another job has started stays.

        Args:
            folder: The output folder, or one in it.
        """
        if folder in self._cleaned:
            return
        self._cleaned.add(folder)
        for staging in folder.glob(".staging-*"):
            rank = staging.name.removeprefix(".staging-")
            if not rank.isdecimal() or int(rank) % self._world.size != self._world.rank:
                continue
            if staging.name == self.path.name:
                shutil.rmtree(staging, ignore_errors=True)
                continue
            with idle_rank(manifest_path(self._folder, rank)) as idle:
                if idle:
                    shutil.rmtree(staging, ignore_errors=True)

    def remove(self) -> None:
        """Remove the staging folders of this rank."""
        for folder in self._cleaned:
            shutil.rmtree(folder / self.path.name, ignore_errors=True)
