"""Mels on their way in: a file or a tensor becomes single mels that have passed the door, or a reason why not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.door import check_shape, doubtful_values
from torchmelinv.errors import TorchmelinvError
from torchmelinv.files import read_mel
from torchmelinv.mfcc import mfcc_to_log_mel

Source = str | Path | tuple[Any, Tensor | str | Path]  # a file, or either beside its name


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """One mel of a source; where `error` stands there is none."""

    name: Any  # as it came
    mel: Tensor  # (n_mels, n_frames), float32
    index: int = 0  # among the source's mels, whose leading dimensions are flattened
    count: int = 1
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def frames(self) -> int:
        return self.mel.shape[-1]


def load(source: Source, convention: MelConvention, mfcc: MfccConvention | None = None) -> list[Item]:
    """The mels (…, n_mels, n_frames) of a file or a tensor, one by one; whatever is wrong with it is in `error`.

    With `mfcc` it holds MFCCs (…, n_mfcc, n_frames), and what comes is the smooth mels that they have.
    """
    name, given = source if isinstance(source, tuple) else (source, source)
    try:
        values = read_mel(given) if isinstance(given, str | Path) else given
        mel = check_shape(mfcc_to_log_mel(values, mfcc) if mfcc else values, convention)
        doubt = doubtful_values(mel, convention)
    except TorchmelinvError as error:
        reason = str(error) if isinstance(given, Tensor) else str(error).removeprefix(f"{given} ")
        return [Item(name, torch.empty(0), error=reason)]
    mels = mel.detach().float().reshape(-1, *mel.shape[-2:])
    return [Item(name, each, index, len(mels), (doubt,) if doubt else ()) for index, each in enumerate(mels)]
