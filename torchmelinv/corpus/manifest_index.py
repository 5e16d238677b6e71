"""Where the entries of a job are in its manifests.

Half a million parsed entries take a gigabyte and many seconds. The index reads only their targets
and keeps 32 bytes of each. An entry is parsed when it is asked for.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchmelinv.corpus.manifest_entry import ManifestEntry, read_target
from torchmelinv.corpus.manifest_lines import read_lines
from torchmelinv.errors import FileError
from torchmelinv.io.plain_files import open_descriptor

_MOST_OPEN = 64  # manifests


class ManifestIndex:
    """An index of the entries with the same settings.

    Args:
        settings: Digest of the settings.
    """

    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._paths: list[Path] = []
        self._rows = array("q")  # of each entry: hash of its target, manifest, start, length
        self._sorted: NDArray[np.int64] | None = None
        self._open: dict[int, int] = {}  # descriptors by manifest

    def add(self, path: Path, descriptor: int) -> Iterator[bytes]:
        """Add the entries of a manifest.

        Args:
            path: Path of the manifest, which is opened again for entries that are asked for.
            descriptor: Descriptor of the open manifest.

        Yields:
            Its lines.
        """
        manifest, settings = len(self._paths), self._settings.encode()
        self._paths.append(path)
        self._sorted = None
        for start, line in read_lines(descriptor):
            target = read_target(line) if settings in line else None
            if target is not None:
                self._rows.extend((hash(target), manifest, start, len(line)))
            yield line

    def of_target(self, target: str) -> list[ManifestEntry]:
        """Return the entries of a target in the order of the manifests."""
        rows, key = self._table(), hash(target)
        first, last = (rows[:, 0].searchsorted(key, side) for side in ("left", "right"))
        entries = self._parse(rows[first:last])
        return [entry for entry in entries if entry.target == target]

    def of_other_targets(self, targets: Iterable[str]) -> Iterator[ManifestEntry]:
        """Return the entries whose targets are not among these."""
        rows, keys = self._table(), np.fromiter(map(hash, targets), np.int64)
        return self._parse(rows[~np.isin(rows[:, 0], keys)])

    def close(self) -> None:
        """Close the manifests."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _table(self) -> NDArray[np.int64]:
        """Return the rows, sorted by target."""
        if self._sorted is None:
            rows = np.array(self._rows, np.int64).reshape(-1, 4)
            self._sorted = rows[rows[:, 0].argsort(kind="stable")]
        return self._sorted

    def _parse(self, rows: NDArray[np.int64]) -> Iterator[ManifestEntry]:
        """Return the entries of some rows; the manifests may have changed since they were read."""
        for _, manifest, start, length in rows.tolist():
            try:
                descriptor = self._descriptor(manifest)
                os.lseek(descriptor, start, os.SEEK_SET)
                entry = ManifestEntry.from_line(os.read(descriptor, length))
            except (OSError, FileError):
                continue
            if entry is not None and entry.settings == self._settings:
                yield entry

    def _descriptor(self, manifest: int) -> int:
        if manifest not in self._open:
            if len(self._open) == _MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            self._open[manifest] = open_descriptor(self._paths[manifest], follow=False)
        return self._open[manifest]
