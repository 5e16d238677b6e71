"""Mels and waveforms for a job: files or tensors, checked and brought to one form."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.corpus.planning import Task
from torchmelinv.errors import InputError, TorchmelinvError
from torchmelinv.io.audio import read_audio
from torchmelinv.io.mels import MelEntry, MelLayout, read_mel
from torchmelinv.io.memory import memory_errors
from torchmelinv.io.resample import resample
from torchmelinv.transforms.mel_checks import check_mel_shape, find_value_problem
from torchmelinv.transforms.mfcc import mfcc_to_mel

# The path of a mel file or a mel of one, or a name with these, a task or a mel
# (…, n_mels, n_frames).
MelSource = str | Path | MelEntry | tuple[Any, Tensor | str | Path | MelEntry | Task]

_MAX_CHANNELS = 8  # as many as FLAC holds; more are rather a batch


@dataclasses.dataclass(frozen=True, eq=False)
class MelItem:
    """One mel of a source, or the reason why there is none.

    Args:
        name: Name of the source: its path, or the name that was given with it.
        mel: Mel (n_mels, n_frames), or (channels, n_mels, n_frames) of several channels, in
            float32; empty with an error.
        index: Index among the mels of the source, whose leading dimensions are flattened.
        count: Number of mels in the source.
        warnings: Doubts about the values.
        error: The reason why there is no mel.
    """

    name: Any
    mel: Tensor
    index: int = 0
    count: int = 1
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.mel.shape[-1]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return math.prod(self.mel.shape[:-2])


def split_mels(mel: Tensor, channels: bool) -> Tensor:
    """Split what a source holds into its mels.

    Args:
        mel: Mel (…, n_mels, n_frames).
        channels: The dimension before the last two has the channels of one recording, which stay
            together.

    Returns:
        Mels (items, n_mels, n_frames), or (items, channels, n_mels, n_frames).

    Raises:
        InputError: If there are too many channels.
    """
    if not channels or mel.ndim == 2 or mel.shape[-3] == 1:
        return mel.reshape(-1, *mel.shape[-2:])
    if mel.shape[-3] > _MAX_CHANNELS:
        raise InputError(
            f"the mel has shape {tuple(mel.shape)}, which means {mel.shape[-3]} channels of one "
            f"recording; it must have at most {_MAX_CHANNELS}; a batch of mono mels is "
            "(items, 1, n_mels, n_frames)"
        )
    return mel.reshape(-1, *mel.shape[-3:])


def _path_of(given: Tensor | str | Path | MelEntry | Task) -> str | Path | None:
    """Return the path of a source, None for a tensor."""
    if isinstance(given, Task):
        return given.source
    if isinstance(given, MelEntry):
        return given.path
    return given if isinstance(given, str | Path) else None


def load_mels(
    source: MelSource,
    convention: MelConvention,
    mfcc: MfccConvention | None = None,
    channels: bool = False,
    layout: MelLayout | None = None,
) -> list[MelItem]:
    """Load the mels of a file or a tensor, one by one. Errors are returned, not raised.

    Args:
        source: Path of a mel file, one of its mels from `mel_entries`, or a name with these, a task
            or a mel (…, n_mels, n_frames). Of a task, the mels that are its own and not yet done
            are loaded.
        convention: The convention of the mels.
        mfcc: Convention of MFCCs (…, n_mfcc, n_frames), if the source holds those. They are turned
            into smooth mels.
        channels: The dimension before the last two has the channels of one recording, which stay
            together.
        layout: How mels lie in files. A task has its own.

    Returns:
        The mels; a single item with `error` if something is wrong.
    """
    name, given = source if isinstance(source, tuple) else (source, source)
    task = given if isinstance(given, Task) else None
    path = _path_of(given)
    try:
        with memory_errors("the mel" if path is None else path):
            if isinstance(given, Task):
                values = given.read()
            elif isinstance(given, MelEntry):
                values = read_mel(given.path, layout or MelLayout(), given)
            elif isinstance(given, str | Path):
                values = read_mel(given, layout or MelLayout())
            else:
                values = given
            mel = check_mel_shape(mfcc_to_mel(values, mfcc) if mfcc else values, convention)
            mels = split_mels(mel.detach().float(), channels)
            doubt = find_value_problem(mel, convention)
    except TorchmelinvError as error:
        reason = str(error) if path is None else str(error).removeprefix(f"{path} ")
        return [MelItem(name, torch.empty(0), error=reason)]
    warnings = (doubt,) if doubt else ()
    indices = task.indices(len(mels)) if task else range(len(mels))
    return [
        MelItem(name, mels[index], index, len(mels), warnings)
        for index in indices
        if task is None or (index, len(mels)) not in task.done
    ]


def load_waveform(path: str | Path, convention: MelConvention) -> tuple[Tensor, list[str]]:
    """Load a recording at the convention's sample rate.

    Args:
        path: Audio file.
        convention: The convention that gives the sample rate.

    Returns:
        Waveform (n_samples,), or (channels, n_samples) of several channels, and notes about
        resampling.

    Raises:
        FileError: If the file cannot be read as audio.
    """
    waveform, rate = read_audio(path)
    notes = []
    if rate != convention.sample_rate:
        waveform = resample(waveform, rate, convention.sample_rate)
        notes.append(f"resampled from {rate:g} to {convention.sample_rate:g} Hz")
    return waveform if len(waveform) > 1 else waveform[0], notes
