"""Many mel files into audio files: paired, batched by length, and each one's failure kept to itself.

What a file becomes does not depend on its batch: items are padded at their own end and inverted with `lengths=`.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.door import check_shape, check_values
from torchmelinv.errors import FileError, InputError, LevelWarning, TorchmelinvError
from torchmelinv.files import AUDIO_FORMATS, MEL_SUFFIXES, audio_format, find_mels, read_mel, write_audio
from torchmelinv.invert import MelInverter
from torchmelinv.level import expand
from torchmelinv.measure.distance import mel_error_db

# A batch closes at so many items or padded frames, whichever comes first, unless the caller counts the items: 20 000 frames
# are about four minutes of speech and a gigabyte.
BATCH_ITEMS = 8
BATCH_FRAMES = 20_000


@dataclasses.dataclass(frozen=True)
class Task:
    """One mel file and the audio file that it becomes."""

    source: Path
    target: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one mel; where `error` stands, nothing was written."""

    input: str
    output: str | None = None
    frames: int = 0
    seconds: float = 0.0
    peak: float = 0.0  # of the waveform, before `gain_db`
    gain_db: float = 0.0  # below 0 where the waveform was scaled down to fit an integer format
    mel_error_db: float = math.nan  # of the waveform's own mel against the mel that came, both linear
    warnings: tuple[str, ...] = ()
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class _Item:
    """One mel (n_mels, n_frames) of a task's file."""

    task: Task
    target: Path
    mel: Tensor
    warnings: tuple[str, ...]
    last: bool  # of its file


def plan(inputs: Sequence[str | Path], output: str | Path, suffix: str = ".wav") -> list[Task]:
    """Pair each mel file with its audio file. Folders are searched and their structure is kept below `output`.

    `output` is a file for a single input file and a folder otherwise. What is missing, empty or would collide is refused
    before anything is done.
    """
    output = Path(output)
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
    if output.suffix.lower() in AUDIO_FORMATS and not output.is_dir():
        if not single:
            raise InputError(f"{output} names one audio file; several inputs need a folder, as in -o {output.with_suffix('')}")
        return [Task(sources[0][0], output)]
    if output.suffix and single and not output.is_dir():
        audio_format(output)  # refuses
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} is a file; a folder is needed there")
    tasks = [Task(source, output / source.relative_to(root).with_suffix(suffix)) for source, root in sources]
    owner: dict[Path, Path] = {}
    for task in tasks:
        if owner.setdefault(task.target, task.source) != task.source:
            raise InputError(f"{owner[task.target]} and {task.source} would both become {task.target}; invert them apart")
    return list({task.target: task for task in tasks}.values())


def _items(task: Task, convention: MelConvention) -> list[_Item]:
    """The mels of one file, looked at: the file itself, or numbered outputs where leading dimensions hold several."""
    mel = check_shape(read_mel(task.source), convention)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always", LevelWarning)  # Python would say the same sentence once
        check_values(mel, convention)
    words = tuple(str(warning.message) for warning in heard)
    mels = mel.float().reshape(-1, *mel.shape[-2:])
    targets = [task.target]
    if len(mels) > 1:
        width = len(str(len(mels) - 1))
        targets = [task.target.with_stem(f"{task.target.stem}_{index:0{width}d}") for index in range(len(mels))]
    return [_Item(task, target, mel, words, target is targets[-1]) for target, mel in zip(targets, mels, strict=True)]


def _batches(items: Iterable[_Item], count: int | None) -> Iterator[list[_Item]]:
    """Neighbours together: `count` items at a time, or as many as the two limits above allow."""
    batch: list[_Item] = []
    for item in items:
        longest = max(other.mel.shape[-1] for other in [*batch, item])
        crowded = len(batch) >= (count or BATCH_ITEMS) or (count is None and longest * (len(batch) + 1) > BATCH_FRAMES)
        if batch and crowded:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _invert(items: Sequence[_Item], inverter: MelInverter, device: torch.device) -> list[Tensor]:
    """The waveform of each item, on `device`."""
    counts = [item.mel.shape[-1] for item in items]
    padded = torch.stack([pad(item.mel, (0, max(counts) - count)) for item, count in zip(items, counts, strict=True)])
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", LevelWarning)  # `_items` has heard them, file by file
        waveforms = inverter(padded.to(device), lengths=torch.tensor(counts, device=device))
    return [waveform[: inverter.convention.n_samples(count)] for waveform, count in zip(waveforms, counts, strict=True)]


def _mel_error(waveform: Tensor, mel: Tensor, analyzer: MelAnalyzer) -> float:
    """Linear mel error in dB over the frames that both have."""
    if analyzer.convention.n_frames(waveform.shape[-1]) == 0:
        return math.nan
    with torch.inference_mode():
        result, wanted = analyzer.linear(waveform), expand(mel.to(waveform.device), analyzer.convention.level)
        frames = min(result.shape[-1], wanted.shape[-1])
        return float(mel_error_db(result[..., :frames], wanted[..., :frames]))


def _write(item: _Item, waveform: Tensor, analyzer: MelAnalyzer, subtype: str | None) -> Outcome:
    rate = analyzer.convention.sample_rate
    written = write_audio(item.target, waveform, rate, subtype)
    return Outcome(
        input=str(item.task.source), output=str(item.target), frames=item.mel.shape[-1], seconds=waveform.shape[-1] / rate,
        peak=written.peak, gain_db=written.gain_db, mel_error_db=_mel_error(waveform, item.mel, analyzer), warnings=item.warnings,
    )


def invert_files(
    tasks: Sequence[Task], inverter: MelInverter, *, device: torch.device | str = "cpu", batch: int | None = None,
    subtype: str | None = None, progress: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Invert every task's file and write it; outcomes in the order of `tasks`, one for each mel or failed file.

    `batch` is the number of mels inverted together; None lets their lengths decide. `progress` is called after each file.
    """
    if batch is not None and batch < 1:
        raise InputError(f"batch is {batch}; it must be a whole number of at least 1")
    device = torch.device(device)
    inverter = inverter.to(device)
    analyzer = MelAnalyzer(inverter.convention).to(device)
    outcomes: dict[Task, list[Outcome]] = {task: [] for task in tasks}
    written: dict[Path, Path] = {}

    def failed(task: Task, error: Exception) -> None:
        reason = "the device ran out of memory" if isinstance(error, torch.OutOfMemoryError) else str(error)
        outcomes[task].append(Outcome(input=str(task.source), error=reason.removeprefix(f"{task.source} ")))

    def readable() -> Iterator[_Item]:
        # The size of a file stands for its length, without reading it twice; the longest go first, so that too little
        # memory shows at once.
        for task in sorted(tasks, key=lambda task: -task.source.stat().st_size):
            try:
                yield from _items(task, inverter.convention)
            except TorchmelinvError as error:
                failed(task, error)
                progress()

    def finish(items: list[_Item]) -> None:
        try:
            waveforms = _invert(items, inverter, device)
        except (TorchmelinvError, torch.OutOfMemoryError) as error:
            if len(items) == 1:
                failed(items[0].task, error)
                return
            waveforms = []
            for item in items:  # one at a time takes less memory, and spares the others what is wrong with one
                finish([item])
        for item, waveform in zip(items, waveforms, strict=False):
            try:
                if item.target in written:
                    raise FileError(f"{item.target} has been written for {written[item.target]}; invert the two apart")
                outcomes[item.task].append(_write(item, waveform, analyzer, subtype))
                written[item.target] = item.task.source
            except TorchmelinvError as error:
                failed(item.task, error)

    for items in _batches(readable(), batch):
        finish(items)
        for _ in filter(lambda item: item.last, items):
            progress()
    return [outcome for task in tasks for outcome in outcomes[task]]
