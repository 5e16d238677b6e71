"""Pairs of generated and reference files: paired by name, then read as tensors of one shape."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.loading import load_mels, load_waveform
from torchmelinv.errors import FileError, InputError
from torchmelinv.io.audio_formats import AUDIO_SUFFIXES
from torchmelinv.io.mel_formats import MEL_SUFFIXES
from torchmelinv.io.mels import MelLayout, find_mels
from torchmelinv.io.memory import memory_errors
from torchmelinv.io.paths import check_exists
from torchmelinv.transforms.compression import decompress

__all__ = ["Pair", "pair_files"]

SIDES = ("generated", "reference")
_ABSENT = {side: f"no {side} file has this name" for side in SIDES}


class Pair(NamedTuple):
    """Two files of one name, or the reason why they cannot be compared.

    Args:
        name: Relative path without suffix.
        generated: The generated file.
        reference: The reference file.
        error: The reason why they cannot be compared.
        layout: How mels lie in the files.

    Example:
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Pair
        >>> Pair("a", Path("generated/a.wav"), Path("reference/a.npy")).has_waveforms
        False
    """

    name: str
    generated: Path | None
    reference: Path | None
    error: str | None = None
    layout: MelLayout = MelLayout()

    def lacks(self, side: str) -> bool:
        """Return whether a folder has no file of this name.

        Args:
            side: ``"generated"`` or ``"reference"``.

        Returns:
            False also if it has several.
        """
        return self.error == _ABSENT[side]

    @property
    def has_waveforms(self) -> bool:
        """Whether both files are audio. Otherwise their mels are compared."""
        paths = (self.generated, self.reference)
        return not any(path and path.suffix.lower() in MEL_SUFFIXES for path in paths)


@dataclasses.dataclass(frozen=True, eq=False)
class PairData:
    """A pair as two tensors of the same shape.

    Args:
        pair: The pair.
        generated: Waveform (n_samples,) at the convention's sample rate, or linear mel (n_mels,
            n_frames).
        reference: The same of the reference.
        notes: How the two were made comparable: resampling, mixing, trimming.
        untrimmed: Both before the longer one was trimmed.
        waveform: The generated waveform; None if the generated file is a mel.
    """

    pair: Pair
    generated: Tensor
    reference: Tensor
    notes: tuple[str, ...]
    untrimmed: tuple[Tensor, Tensor]
    waveform: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of samples, or of frames."""
        return self.reference.shape[-1]

    def n_frames(self, convention: MelConvention) -> int:
        """Return the number of frames.

        Args:
            convention: The convention of the mels.

        Returns:
            Frames of either side.
        """
        return convention.n_frames(self.length) if self.reference.ndim == 1 else self.length


def is_silent(side: Tensor) -> bool:
    """Return whether all samples of a waveform are 0, or all values of a mel at one floor."""
    floor = side.flatten()[0] if side.ndim > 1 else 0
    return bool((side == floor).all())


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in find_mels(folder, AUDIO_SUFFIXES):
        files.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return files


def _make_pair(name: str, paths: dict[str, list[Path]], layout: MelLayout) -> Pair:
    errors = [_ABSENT[side] for side in SIDES if not paths[side]]
    errors += [
        f"{' and '.join(map(str, files))} have the same name; keep one"
        for files in paths.values()
        if len(files) > 1
    ]
    generated, reference = (paths[side][0] if len(paths[side]) == 1 else None for side in SIDES)
    return Pair(name, generated, reference, "; ".join(errors) or None, layout)


def pair_files(
    generated: str | Path, reference: str | Path, layout: MelLayout | None = None
) -> list[Pair]:
    """Pair the audio and mel files of two folders by name, or two files whatever their names.

    Args:
        generated: Folder of generated files, or one file.
        reference: Folder of reference files, or one file.
        layout: How mels lie in the files. Default: the file's only mel as (…, n_mels, n_frames).

    Returns:
        Pairs, sorted by name: the relative path without suffix. A name that one folder lacks or has
        twice is a pair with an error.

    Raises:
        FileError: If a path does not exist.
        InputError: If one path is a file and the other a folder, or no name is in both folders.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import pair_files
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("generated/a.wav", "reference/a.wav", "reference/b.wav"):
        ...         Path(folder, name).parent.mkdir(exist_ok=True)
        ...         Path(folder, name).touch()
        ...     pairs = pair_files(Path(folder, "generated"), Path(folder, "reference"))
        >>> [(pair.name, pair.error) for pair in pairs]
        [('a', None), ('b', 'no generated file has this name')]
    """
    generated, reference = Path(generated), Path(reference)
    for path in (generated, reference):
        check_exists(path)
    if generated.is_file() and reference.is_file():
        return [Pair(generated.stem, generated, reference, None, layout or MelLayout())]
    for path in (generated, reference):
        if path.is_file():
            raise InputError(
                f"{path} is a file and the other path is a folder; give two folders, or two files"
            )
    files = dict(zip(SIDES, map(_files_by_name, (generated, reference)), strict=True))
    if not files["generated"].keys() & files["reference"].keys():
        raise InputError(
            "no audio or mel file has the same name in both folders "
            f"({len(files['generated'])} in {generated} and {len(files['reference'])} in "
            f"{reference}); names are relative paths without suffix"
        )
    names = sorted(files["generated"].keys() | files["reference"].keys())
    return [
        _make_pair(name, {side: files[side].get(name, []) for side in SIDES}, layout or MelLayout())
        for name in names
    ]


def read_side(
    path: Path, mel_spectrogram: MelSpectrogram, layout: MelLayout | None = None
) -> tuple[Tensor, list[str]]:
    """Return a waveform (n_samples,) or a mel (n_mels, n_frames) as it is, and notes."""
    if path.suffix.lower() not in MEL_SUFFIXES:
        waveform, notes = load_waveform(path, mel_spectrogram.convention)
        if waveform.ndim == 1:
            return waveform, notes
        return waveform.mean(0), [*notes, f"{len(waveform)} channels mixed to one"]
    mel, *others = load_mels(path, mel_spectrogram.convention, layout=layout)
    if mel.error:
        raise FileError(f"{path}: {mel.error}")
    if others:
        raise InputError(
            f"{path} holds {mel.count} mels; only files with a single mel are compared"
        )
    return mel.mel, list(mel.warnings)


def _at_level_of(reference: Tensor, waveform: Tensor) -> Tensor:
    """Return a waveform with the root mean square of a reference; silence as it is."""
    target, level = (each.square().mean().sqrt() for each in (reference, waveform))
    return waveform * torch.where((target > 0) & (level > 0), target / level, 1)


def read_pair(pair: Pair, mel_spectrogram: MelSpectrogram) -> PairData:
    """Read both files of a pair on the CPU and trim the longer one.

    If one is a waveform and the other a mel, the mel of the waveform is compared. A difference of
    less than a hop (of mels, up to a frame) comes from analysis and inversion and gives no note.
    Where the convention puts each mel's peak at one value, a generated waveform has the level that
    someone chose for it: it is scaled to that of the reference.

    Args:
        pair: A pair without error.
        mel_spectrogram: Gives the convention and the mels of waveforms.

    Returns:
        Both as tensors of one shape.

    Raises:
        FileError: If a file cannot be read, or takes too much memory.
        InputError: If a file holds several mels, or too few samples for a frame.
    """
    convention, tensors, waveforms, notes = mel_spectrogram.convention, [], [], []
    for side, path in zip(SIDES, (pair.generated, pair.reference), strict=True):
        assert path is not None
        with memory_errors(path):
            tensor, side_notes = read_side(path, mel_spectrogram, pair.layout)
            if tensor.ndim == 1 and convention.n_frames(tensor.shape[-1]) == 0:
                raise InputError(
                    f"{path} has {tensor.shape[-1]} samples, too few for a frame of this convention"
                )
            waveforms.append(tensor if tensor.ndim == 1 else None)
            if not pair.has_waveforms:
                mel = mel_spectrogram(tensor) if tensor.ndim == 1 else tensor
                tensor = decompress(mel, convention.level)
        notes += [f"{side}: {note}" for note in side_notes]
        tensors.append(tensor)
    if pair.has_waveforms and convention.level.reference_max:
        tensors[0] = _at_level_of(tensors[1], tensors[0])
        notes.append("generated: scaled to the level of the reference, which no such mel holds")
    lengths = [tensor.shape[-1] for tensor in tensors]
    shortest, longest = min(lengths), max(lengths)
    excess = longest - shortest
    if excess >= (convention.hop_length if pair.has_waveforms else 2):
        unit = (1 if pair.has_waveforms else convention.hop_length) / convention.sample_rate
        notes.append(
            f"{SIDES[lengths.index(longest)]}: trimmed by {excess * unit:.2f} s "
            f"to the {shortest * unit:.2f} s of the other"
        )
    generated, reference = (tensor[..., :shortest] for tensor in tensors)
    waveform = generated if pair.has_waveforms else waveforms[0]
    return PairData(pair, generated, reference, tuple(notes), (tensors[0], tensors[1]), waveform)
