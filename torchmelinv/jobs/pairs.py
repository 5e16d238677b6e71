"""What is compared with what: two folders paired by name, and each pair read, brought to one kind, rate and length."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import FileError, InputError
from torchmelinv.files import AUDIO_SUFFIXES, MEL_SUFFIXES, find_files
from torchmelinv.jobs.load import load as load_mel
from torchmelinv.jobs.roundtrip import load as load_waveform
from torchmelinv.level import expand

SIDES = ("generated", "reference")


class Pair(NamedTuple):
    """Two files of one name; where `error` stands they cannot be compared."""

    name: str  # the relative path without its suffix
    generated: Path | None
    reference: Path | None
    error: str | None = None

    @property
    def waveforms(self) -> bool:
        """Whether both are audio; else their mels are compared."""
        return not any(path and path.suffix.lower() in MEL_SUFFIXES for path in (self.generated, self.reference))


@dataclasses.dataclass(frozen=True, eq=False)
class Sounds:
    """A pair as tensors of the same shape, and in words what had to be done for that."""

    pair: Pair
    generated: Tensor  # (n_samples,) at the convention's rate, or linear mel (n_mels, n_frames)
    reference: Tensor
    notes: tuple[str, ...]

    @property
    def length(self) -> int:
        """Samples or frames."""
        return self.reference.shape[-1]

    def n_frames(self, convention: MelConvention) -> int:
        """Frames of either, as the convention sees them."""
        return convention.n_frames(self.length) if self.reference.ndim == 1 else self.length

    @property
    def silent(self) -> bool:
        """Whether the reference is: then nothing can be said relative to it. A mel may have a floor everywhere."""
        return bool((self.reference == (self.reference.flatten()[0] if self.reference.ndim > 1 else 0)).all())


def _by_name(folder: Path) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for path in find_files(folder, AUDIO_SUFFIXES + MEL_SUFFIXES):
        named.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return named


def _pair(name: str, paths: dict[str, list[Path]]) -> Pair:
    errors = [f"no {side} file has this name" for side in SIDES if not paths[side]]
    errors += [f"{' and '.join(map(str, each))} share this name; keep one" for each in paths.values() if len(each) > 1]
    generated, reference = (paths[side][0] if len(paths[side]) == 1 else None for side in SIDES)
    return Pair(name, generated, reference, "; ".join(errors) or None)


def pair_up(generated: str | Path, reference: str | Path) -> list[Pair]:
    """Audio and mel files below two folders by their relative path without suffix, sorted; or two files, whatever their names.

    A name that one folder lacks, or has twice, is a pair with an error. A folder that does not exist, or folders without any
    name in common, are refused.
    """
    generated, reference = Path(generated), Path(reference)
    for path in (generated, reference):
        if not os.path.exists(path):
            raise FileError(f"{path} does not exist")
    if generated.is_file() and reference.is_file():
        return [Pair(generated.stem, generated, reference)]
    for path in (generated, reference):
        if path.is_file():
            raise InputError(f"{path} is a file and the other side a folder; give two folders, or two files")
    found = {side: _by_name(folder) for side, folder in zip(SIDES, (generated, reference), strict=True)}
    if not found["generated"].keys() & found["reference"].keys():
        counts = f"{len(found['generated'])} under {generated} and {len(found['reference'])} under {reference}"
        hint = "names are relative paths without suffix"
        raise InputError(f"no audio or mel file has the same name on both sides ({counts}); {hint}")
    names = sorted(found["generated"].keys() | found["reference"].keys())
    return [_pair(name, {side: found[side].get(name, []) for side in SIDES}) for name in names]


def _read(path: Path, analyzer: MelAnalyzer) -> tuple[Tensor, list[str]]:
    """A waveform (n_samples,), or a mel (n_mels, n_frames) in the convention's own values, and notes."""
    if path.suffix.lower() not in MEL_SUFFIXES:
        return load_waveform(path, analyzer.convention)
    mel, *others = load_mel(path, analyzer.convention)
    if mel.error:
        raise FileError(f"{path}: {mel.error}")
    if others:
        raise InputError(f"{path} holds {mel.count} mels; only files of a single one can be compared")
    return mel.mel, list(mel.warnings)


def read_pair(pair: Pair, analyzer: MelAnalyzer) -> Sounds:
    """Read both, on the CPU, and cut the longer; of a waveform beside a mel, the mel is taken.

    A difference of less than a hop (up to a frame) is what analysis and inversion make, and goes without a note.
    """
    convention, sounds, notes = analyzer.convention, [], []
    for side, path in zip(SIDES, (pair.generated, pair.reference), strict=True):
        assert path is not None
        sound, words = _read(path, analyzer)
        notes += [f"{side}: {word}" for word in words]
        if sound.ndim == 1 and convention.n_frames(sound.shape[-1]) == 0:
            raise InputError(f"{path} has {sound.shape[-1]} samples, too few for a frame of this convention")
        if not pair.waveforms:
            sound = expand(analyzer(sound) if sound.ndim == 1 else sound, convention.level)
        sounds.append(sound)
    lengths = [sound.shape[-1] for sound in sounds]
    shortest = min(lengths)
    if pair.waveforms and convention.n_frames(shortest) == 0:
        raise InputError(f"only {shortest} samples are common to both, too few for a frame of this convention")
    hop_seconds = convention.hop_length / convention.sample_rate
    unit = 1 / convention.sample_rate if pair.waveforms else hop_seconds
    excess = (max(lengths) - shortest) * unit
    if excess > hop_seconds * (1 + 1e-9) or (pair.waveforms and excess >= hop_seconds):
        longer = SIDES[lengths.index(max(lengths))]
        notes.append(f"{longer}: cut by {excess:.2f} s to the {shortest * unit:.2f} s of the other")
    return Sounds(pair, sounds[0][..., :shortest], sounds[1][..., :shortest], tuple(notes))
