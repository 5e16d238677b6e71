"""The mels that acoustic models predicted, and the methods that invert them."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import peers
from benchmarks.recordings import PREDICTED
from benchmarks.records import Record
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.restoration import Contrast, UnsharpMask
from torchmelinv.transforms.compression import decompress

# name in a file's name: label
MODELS = {"fastspeech2": "FastSpeech 2", "tacotron": "Tacotron 2"}
NATIVE = "native"
# Options of `MelInverter` by method.
OPTIONS: dict[str, Record] = {
    "cascade": {"phase": "fast_griffin_lim", "init": "random", "restore": "none"},
    "exact": {"restore": "none"},
    "default": {},
    "default_100": {"n_iter": 100},
    "contrast": {"restore": Contrast(1.2)},
    "unsharp_mask": {"restore": UnsharpMask(1.0)},
}
METHODS = (*peers.PEERS, *OPTIONS, NATIVE)
LABELS = {
    "cascade": '`phase="fast_griffin_lim"`',
    "exact": 'exact: `restore="none"`',
    "default": "**default**",
    "default_100": "**default**, 100 iterations",
    "contrast": "`restore=Contrast(1.2)`",
    "unsharp_mask": "`restore=UnsharpMask(1.0)`",
    NATIVE: "their own vocoder",
}


class Sentence(NamedTuple):
    """A mel that a model predicted, and the waveform that its own vocoder made of it."""

    name: str
    convention: MelConvention
    mel: Tensor  # (n_mels, n_frames)
    native: Tensor

    @property
    def model(self) -> str:
        return self.name.rsplit("_", 1)[0]


def sentences(folder: Path = PREDICTED) -> list[Sentence]:
    """Return all sentences of a folder, sorted; [] if there are none."""
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def _read(path: Path) -> Sentence:
    content = np.load(path)
    settings = json.loads(str(content["config"]))
    names = ("log", "floor", "band_mean", "band_scale")
    level = Compression(**{name: settings.pop(name) for name in names})
    mel = torch.from_numpy(content["mel"].T.copy())
    native = torch.from_numpy(content["native"] / np.float32(2**15))
    return Sentence(path.stem, MelConvention(**settings, level=level), mel, native)


@functools.lru_cache
def inverter(name: str, convention: MelConvention) -> tmi.MelInverter:
    """Return the inverter of one of `OPTIONS`."""
    return tmi.MelInverter(convention, **OPTIONS[name])


@functools.lru_cache
def _peer(name: str, convention: MelConvention) -> Callable[[Tensor], Tensor]:
    return peers.inverter(name, convention)


def waveform(name: str, sentence: Sentence) -> Tensor:
    """Return the waveform of one of `METHODS`."""
    mel, convention = sentence.mel, sentence.convention
    if name == NATIVE:
        return sentence.native
    if name in peers.PEERS:
        return _peer(name, convention)(decompress(mel, convention.level))
    return inverter(name, convention)(mel)


def restored_mel(name: str, sentence: Sentence) -> Tensor:
    """Return the linear mel that a method's waveform is to have; the default's for the vocoder."""
    if name in peers.PEERS:
        return decompress(sentence.mel, sentence.convention.level)
    options = "default" if name == NATIVE else name
    return inverter(options, sentence.convention).to_restored_mel(sentence.mel)
