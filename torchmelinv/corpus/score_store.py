"""Scores on disk, so that an evaluation resumes after an interruption and ranks share its work.

Each rank appends a JSON line for each scored pair to its own ``scores-<rank>.jsonl``. A run reads
the lines of all ranks. A line counts as long as both files and the settings are the same; a line
that was cut, by a kill or a full disk, is ignored.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchmelinv._utils.text import plain
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.manifest_lines import read_lines
from torchmelinv.corpus.pairs import Pair
from torchmelinv.corpus.sharding import SINGLE_PROCESS, World
from torchmelinv.errors import FileError
from torchmelinv.io.disk_errors import write_error
from torchmelinv.io.plain_files import open_descriptor

__all__ = ["ScoreStore"]


class ScoreStore:
    """The scores in a folder. A context manager: entering it opens the file of this rank.

    Args:
        folder: The folder; it is made if it does not exist.
        settings: What determines the scores of two files, such as the convention.
        world: The process.

    Raises:
        FileError: On entering, if the file of this rank cannot be read or written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Pair, ScoredPair, ScoreStore
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = Path(folder, "a.wav"), Path(folder, "b.wav")
        ...     for path in paths:
        ...         path.touch()
        ...     pair = Pair("a", *paths)
        ...     for _ in range(2):
        ...         with ScoreStore(Path(folder), {"convention": "x"}) as store:
        ...             print(store.find(pair) is not None)
        ...             store.add(ScoredPair(pair, {"estoi": 0.9}))
        False
        True
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], world: World = SINGLE_PROCESS
    ) -> None:
        self._folder, self._rank = folder, world.rank
        self._settings = json.dumps(plain(settings), sort_keys=True)
        self._found: dict[str, tuple[dict[str, float], tuple[str, ...]]] = {}
        self._keys: dict[Pair, str | None] = {}  # before the files are read
        self._descriptor = -1

    def __enter__(self) -> ScoreStore:
        path = self._folder / f"scores-{self._rank}.jsonl"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
            self._descriptor = open_descriptor(path, flags, follow=False)
            if os.lseek(self._descriptor, 0, os.SEEK_END):
                os.lseek(self._descriptor, -1, os.SEEK_END)
                if os.read(self._descriptor, 1) != b"\n":
                    os.write(self._descriptor, b"\n")  # ends a line that was cut
        except OSError as error:
            raise write_error(path, error) from None
        for each in sorted(self._folder.glob("scores-*.jsonl")):
            self._read(each)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def find(self, pair: Pair) -> ScoredPair | None:
        """Return a pair with the scores that an earlier run, or another rank, has stored.

        Args:
            pair: The pair.

        Returns:
            None if it is not there, or a file has changed since.
        """
        key = self._keys[pair] = self._key(pair)
        if key not in self._found:
            return None
        scores, notes = self._found[key]
        return ScoredPair(pair, scores, notes)

    def add(self, scored: ScoredPair) -> None:
        """Store the scores of a pair. One with an error is not stored: the next run tries again.

        A file that has changed since `find` may have had the scores before or after: the next run
        computes them again.

        Args:
            scored: The pair.

        Raises:
            FileError: If the file cannot be written.
            DiskError: If the disk is full.
        """
        pair = scored.pair
        key = self._keys[pair] if pair in self._keys else self._key(pair)
        if scored.error or key is None:
            return
        scores = {name: repr(value) for name, value in scored.scores.items()}
        line = json.dumps({"key": key, "scores": scores, "notes": scored.notes}).encode() + b"\n"
        try:
            if os.write(self._descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise write_error(self._folder, error) from None

    def _key(self, pair: Pair) -> str | None:
        """Return a digest of the paths, sizes and times of both files and of the settings."""
        text = self._settings
        for path in (pair.generated, pair.reference):
            try:
                status = os.stat(path) if path else None
            except OSError:
                status = None
            if status is None:
                return None
            text += f"\n{Path(os.path.abspath(path or ''))}\n{status.st_size} {status.st_mtime_ns}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]

    def _read(self, path: Path) -> None:
        """Read the lines of one rank; leave out what is no entry."""
        try:
            descriptor = open_descriptor(path, follow=False)
        except (OSError, FileError):
            return
        try:
            for _, line in read_lines(descriptor):
                try:
                    entry = json.loads(line)
                    scores = {str(k): float(v) for k, v in entry["scores"].items()}
                    self._found[str(entry["key"])] = (scores, tuple(map(str, entry["notes"])))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    continue
        finally:
            os.close(descriptor)
