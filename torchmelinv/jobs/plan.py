"""Which mel file becomes which file, and how long each is: settled before any work, without reading a mel."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from torchmelinv.containers import npy_shape
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
    would collide, overwrite an input or, by a link, leave the output folder is refused before anything is done.
    """
    output, writable = Path(output), (AUDIO_FORMATS if suffix in AUDIO_FORMATS else (suffix,))
    sources = [(path, path.parent) for path in map(Path, inputs) if not os.path.isdir(path)]
    for source, _ in sources:
        if not os.path.exists(source):  # unlike Path.exists, also for names that no file can have
            raise FileError(f"{source} does not exist")
    for folder in (path for path in map(Path, inputs) if os.path.isdir(path)):
        found = find_mels(folder)
        if not found:
            raise FileError(f"no mel file lies below the folder {folder}; mels are {' '.join(MEL_SUFFIXES)} files")
        sources += [(path, folder) for path in found]
    single, folder_there = len(inputs) == 1 and not os.path.isdir(inputs[0]), os.path.isdir(output)
    if output.suffix.lower() in writable and not folder_there:
        if not single:
            raise InputError(f"{output} names one file; several inputs need a folder, as in -o {output.with_suffix('')}")
        tasks = [Task(output, sources[0][0])]
        _refuse_inputs(tasks)
        return tasks
    if output.suffix and single and not folder_there:
        raise InputError(f"the output {str(output)!r} ends in {output.suffix!r}; {' and '.join(writable)} can be written")
    if os.path.exists(output) and not folder_there:
        raise FileError(f"{output} is a file; a folder is needed there")
    tasks = [Task(output / source.relative_to(root).with_suffix(suffix), source) for source, root in sources]
    owner: dict[Path, Path] = {}
    for task in tasks:
        if owner.setdefault(task.target, task.source) != task.source:
            raise InputError(f"{owner[task.target]} and {task.source} would both become {task.target}; take them one by one")
    _refuse_ways_out(output, {task.target.parent for task in tasks})
    _refuse_inputs(tasks)
    return list({task.target: task for task in tasks}.values())


def _refuse_inputs(tasks: Iterable[Task]) -> None:
    """What is made of mels never takes the place of one that is read: the same command again would take it for another's."""
    tasks = [task for task in tasks if task.target.suffix.lower() in MEL_SUFFIXES]
    sources = {os.path.realpath(task.source) for task in tasks}
    for task in tasks:
        if os.path.realpath(task.target) in sources:
            raise InputError(f"{task.target} is among the inputs and would be overwritten; give another output")


def _refuse_ways_out(output: Path, folders: Iterable[Path]) -> None:
    """A link that stands in the output folder may not lead what is written there to another place."""
    inside = os.path.realpath(output)
    for folder in folders:
        if os.path.commonpath([inside, os.path.realpath(folder)]) != inside:
            raise FileError(f"{folder} leads out of the output folder {output} by a link; remove the link")


def _frames(path: Path, n_mels: int) -> int:
    if not os.path.isfile(path):  # a pipe would keep us waiting
        return 0
    try:
        return (math.prod(npy_shape(path)) if path.suffix.lower() == ".npy" else path.stat().st_size // 4) // n_mels
    except Exception:  # broken: whoever reads it will say how
        return 0
