"""Which mel file becomes which file, and how long each is: settled before any work, without reading a mel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from torchmelinv.errors import FileError, InputError
from torchmelinv.files import AUDIO_FORMATS, MEL_SUFFIXES, find_mels


class Task(NamedTuple):
    """One mel file and the file that it becomes; tasks sort by the latter."""

    target: Path
    source: Path
    frames: int = 0  # of all its mels, as far as is known before it is read

    def measured(self, n_mels: int) -> Task:
        """With its frames, from an npy's header or else the size of the file; 0 for a file that cannot be read."""
        return self._replace(frames=_frames(self.source, n_mels))

    def numbered(self, index: int, count: int) -> Path:
        """The audio file of one of the `count` mels that the source holds."""
        return self.target if count == 1 else self.target.with_stem(f"{self.target.stem}_{index:0{len(str(count - 1))}d}")


def plan(inputs: Sequence[str | Path], output: str | Path, suffix: str = ".wav") -> list[Task]:
    """Pair each mel file with the file that it becomes. Folders are searched and their structure is kept below `output`.

    `output` is a file for a single input file and a folder otherwise, where files get `suffix`. What is missing, empty or
    would collide is refused before anything is done.
    """
    output, writable = Path(output), (AUDIO_FORMATS if suffix in AUDIO_FORMATS else (suffix,))
    sources = [(path, path.parent) for path in map(Path, inputs) if not path.is_dir()]
    for source, _ in sources:
        if not source.exists():
            raise FileError(f"{source} does not exist")
    for folder in (path for path in map(Path, inputs) if path.is_dir()):
        found = find_mels(folder)
        if not found:
            raise FileError(f"no mel file lies below the folder {folder}; mels are {' '.join(MEL_SUFFIXES)} files")
        sources += [(path, folder) for path in found]
    single = len(inputs) == 1 and not Path(inputs[0]).is_dir()
    if output.suffix.lower() in writable and not output.is_dir():
        if not single:
            raise InputError(f"{output} names one file; several inputs need a folder, as in -o {output.with_suffix('')}")
        return [Task(output, sources[0][0])]
    if output.suffix and single and not output.is_dir():
        raise InputError(f"the output {str(output)!r} ends in {output.suffix!r}; {' and '.join(writable)} can be written")
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file; a folder is needed there")
    tasks = [Task(output / source.relative_to(root).with_suffix(suffix), source) for source, root in sources]
    owner: dict[Path, Path] = {}
    for task in tasks:
        if owner.setdefault(task.target, task.source) != task.source:
            raise InputError(f"{owner[task.target]} and {task.source} would both become {task.target}; take them one by one")
    return list({task.target: task for task in tasks}.values())


def _frames(path: Path, n_mels: int) -> int:
    try:
        with path.open("rb") as stream:
            if path.suffix.lower() == ".npy" and np.lib.format.read_magic(stream) == (1, 0):
                return math.prod(np.lib.format.read_array_header_1_0(stream)[0]) // n_mels
        return path.stat().st_size // (4 * n_mels)
    except (OSError, ValueError):  # broken: whoever reads it will say how
        return 0
