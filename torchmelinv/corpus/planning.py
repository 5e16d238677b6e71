"""The plan of a job: which mel file becomes which file. Made before any work, from names alone."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from torchmelinv.errors import FileError, InputError, TorchmelinvError
from torchmelinv.io.audio_formats import AUDIO_FORMATS, AUDIO_SUFFIXES
from torchmelinv.io.mel_formats import ARRAY_SUFFIXES, MEL_SUFFIXES
from torchmelinv.io.mels import MelEntry, MelLayout, find_mels, mel_entries, read_mel
from torchmelinv.io.paths import check_exists
from torchmelinv.io.safe_load import npy_shape

__all__ = ["Task", "plan"]

_LONGEST_NAME = 200  # bytes


class Task(NamedTuple):
    """A mel file and the file that it becomes, or some of its mels. Tasks sort by target.

    Args:
        target: Path of the output.
        source: Path of the mel file.
        n_frames: Frames of the task's mels, as far as known before they are read.
        first: Index of the task's first mel.
        step: Step between the indices of the task's mels.
        done: Index and count of each mel that an earlier run has done.
        entry: The mel of a file that holds many by name; None for all that the file holds.
        layout: How the mels lie in the file.

    Example:
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Task
        >>> Task(Path("out/a.wav"), Path("a.npy")).output_path(1, 12).as_posix()
        'out/a_01.wav'
    """

    target: Path
    source: Path
    n_frames: int = 0
    first: int = 0
    step: int = 1
    done: frozenset[tuple[int, int]] = frozenset()
    entry: MelEntry | None = None
    layout: MelLayout = MelLayout()

    @property
    def name(self) -> str:
        """Name for messages: the path, and the name of the mel in a file of many."""
        return f"{self.source}: {self.entry.name}" if self.entry else str(self.source)

    def read(self) -> Tensor:
        """Read the mel, or all mels, of the source.

        Returns:
            Mels (…, n_mels, n_frames).

        Raises:
            FileError: If they cannot be read.
        """
        return read_mel(self.source, self.layout, self.entry)

    def indices(self, count: int) -> range:
        """Return the indices of the task's mels, those that are done among them.

        Args:
            count: Number of mels in the source.

        Returns:
            Every `step`-th index.
        """
        return range(self.first, count, self.step)

    def n_others(self, count: int) -> int:
        """Return how many mels of the source are not the task's.

        Args:
            count: Number of mels in the source.

        Returns:
            Number of the others.
        """
        return count - len(self.indices(count))

    def with_n_frames(self, n_mels: int) -> Task:
        """Estimate the number of frames without reading the mel.

        Args:
            n_mels: Number of mel bands.

        Returns:
            The task with `n_frames` from the header of an npy file, or from the size of another
            file; 0 for a file that cannot be read, and for a mel by name of unknown length.
        """
        if self.entry:
            return self._replace(n_frames=self.entry.n_values // n_mels // self.step)
        return self._replace(n_frames=_estimate_n_frames(self.source, n_mels) // self.step)

    def output_path(self, index: int, count: int) -> Path:
        """Return the output of one mel of the source.

        Args:
            index: Index of the mel, from 0.
            count: Number of mels in the source.

        Returns:
            `target` for a single mel, otherwise `target` with a number in its name.
        """
        if count == 1:
            return self.target
        number = f"{index:0{len(str(count - 1))}d}"
        return self.target.with_stem(f"{self.target.stem}_{number}")


def plan(
    inputs: Sequence[str | Path],
    output: str | Path,
    suffix: str = ".wav",
    layout: MelLayout | None = None,
) -> list[Task]:
    """Pair each mel file with its output file, before anything is written.

    A file of many mels by name has a task for each of them. Its outputs have the names of the mels,
    with ``_`` for characters that no file name should have.

    Args:
        inputs: Mel files, and folders that are searched for mel files.
        output: A file for a single input file, otherwise a folder, which keeps the structure of the
            input folders.
        suffix: Suffix of the files in an output folder.
        layout: How mels lie in the files. Default: the file's only mel as (…, n_mels, n_frames).

    Returns:
        A task for each mel file, or mel. A file whose mels cannot be listed has one task, which
        fails with the reason.

    Raises:
        FileError: If an input does not exist, a folder has no mel file, the output folder is a
            file, or a link leads out of the output folder.
        InputError: If two inputs would become one file, an input would be overwritten, or the
            output has a suffix that cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from torchmelinv.corpus import plan
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "a.npy"), np.zeros((80, 5)))
        ...     tasks = plan([folder], "out")
        >>> tasks[0].target.as_posix()
        'out/a.wav'
    """
    output, folder_exists = Path(output), os.path.isdir(output)
    layout = layout or MelLayout()
    sources = _find_sources(inputs)
    single = len(inputs) == 1 and not os.path.isdir(inputs[0])
    formats = AUDIO_FORMATS if suffix in AUDIO_FORMATS else (suffix,)
    if output.suffix.lower() in formats and not folder_exists:
        tasks = _tasks_of(*sources[0], output.parent, suffix, layout)
        if not single or len(tasks) > 1:
            several = f"{len(tasks)} mels of {sources[0][0]}" if single else "several inputs"
            raise InputError(
                f"{output} is a single file; {several} need a folder, "
                f"for example -o {output.with_suffix('')}"
            )
        tasks = [tasks[0]._replace(target=output)]
        _check_overwrites(tasks)
        return tasks
    if output.suffix and single and not folder_exists:
        raise InputError(
            f"the output {str(output)!r} ends in {output.suffix!r}; "
            f"{' and '.join(formats)} can be written"
        )
    if os.path.exists(output) and not folder_exists:
        raise FileError(f"{output} is a file; the output must be a folder")
    tasks = [
        task for source, root in sources for task in _tasks_of(source, root, output, suffix, layout)
    ]
    _check_collisions(tasks)
    _check_links(output, {task.target.parent for task in tasks})
    _check_overwrites(tasks)
    return list({task.target: task for task in tasks}.values())


def _tasks_of(source: Path, root: Path, output: Path, suffix: str, layout: MelLayout) -> list[Task]:
    """Return the tasks of a file, of which most hold one mel."""
    target = output / source.relative_to(root).with_suffix(suffix)
    try:
        entries = mel_entries(source, layout)
    except TorchmelinvError:  # reading it later gives the reason
        entries = [MelEntry(source)]
    if not entries[0].name:
        return [Task(target, source, layout=layout)]
    # Names in formats of many mels are those of utterances; names of arrays repeat in other files.
    named_alike = source.suffix.lower() in ARRAY_SUFFIXES
    folder = target.with_suffix("") if named_alike else target.parent
    return [
        Task(
            folder / f"{_file_name(layout.short_name(entry.name))}{suffix}",
            entry.path,
            entry=entry,
            layout=layout,
        )
        for entry in entries
    ]


def _file_name(name: str) -> str:
    """Return a name as a file name: one component, visible, and allowed on all systems."""
    stem = name[: -len(Path(name).suffix)] if Path(name).suffix in AUDIO_SUFFIXES else name
    plain = "".join(
        "_" if each in '/\\:*?"<>|' or unicodedata.category(each)[0] == "C" else each
        for each in stem
    )
    plain = plain.encode(errors="replace")[:_LONGEST_NAME].decode(errors="ignore")
    return f"_{plain[1:]}" if plain[:1] in ("", ".") else plain


def _find_sources(inputs: Sequence[str | Path]) -> list[tuple[Path, Path]]:
    """Return each mel file with the folder that its output path is relative to."""
    paths = [Path(path) for path in inputs]
    sources = [(path, path.parent) for path in paths if not os.path.isdir(path)]
    for source, _ in sources:
        check_exists(source)
    for folder in filter(os.path.isdir, paths):
        mels = find_mels(folder)
        if not mels:
            raise FileError(
                f"the folder {folder} contains no mel file; mels are {' '.join(MEL_SUFFIXES)} files"
            )
        sources += [(path, folder) for path in mels]
    return sources


def _check_collisions(tasks: Iterable[Task]) -> None:
    """Refuse two sources that would become the same file."""
    owner: dict[Path, Task] = {}
    for task in tasks:
        first = owner.setdefault(task.target, task)
        if (first.source, first.entry) != (task.source, task.entry):
            raise InputError(
                f"{first.name} and {task.name} would both become {task.target}; "
                "give them different output folders"
            )


def _check_overwrites(tasks: Iterable[Task]) -> None:
    """Refuse mel files as outputs that are inputs too: the next run would read them as inputs."""
    tasks = [task for task in tasks if task.target.suffix.lower() in MEL_SUFFIXES]
    sources = {os.path.realpath(task.source) for task in tasks}
    for task in tasks:
        if os.path.realpath(task.target) in sources:
            raise InputError(
                f"{task.target} is among the inputs and would be overwritten; give another output"
            )


def _check_links(output: Path, folders: Iterable[Path]) -> None:
    """Refuse links in the output folder that lead out of it."""
    root = os.path.realpath(output)
    for folder in folders:
        if os.path.commonpath([root, os.path.realpath(folder)]) != root:
            raise FileError(
                f"{folder} leads out of the output folder {output} through a link; remove the link"
            )


def _estimate_n_frames(path: Path, n_mels: int) -> int:
    """Return the frames of a file, 0 if it is broken: reading it later gives the reason."""
    if not os.path.isfile(path):  # opening a pipe would block
        return 0
    try:
        if path.suffix.lower() == ".npy":
            return math.prod(npy_shape(path)) // n_mels
        return path.stat().st_size // 4 // n_mels
    except Exception:
        return 0
