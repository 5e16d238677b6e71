"""Reading and writing of mel files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from torchmelinv.errors import FileError
from torchmelinv.io.array_files import ARRAY_READERS, array_shape, read_array, read_arrays, reading
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.kaldi_files import read_matrix
from torchmelinv.io.mel_entries import mel_entries
from torchmelinv.io.mel_formats import (
    KALDI_SUFFIXES,
    MEL_SUFFIXES,
    PICTURE_SUFFIX,
    TAR_SUFFIX,
    known_suffix,
)
from torchmelinv.io.mel_layout import (
    DEFAULT_LAYOUT,
    MEL_NAMES,
    MelLayout,
    choose_field,
    choose_mel,
    shown_names,
)
from torchmelinv.io.paths import atomic_write, existing_file, find_files
from torchmelinv.io.picture_files import read_picture
from torchmelinv.io.plain_files import Member
from torchmelinv.io.table_files import dataset_files, read_row, table_columns
from torchmelinv.io.tar_files import read_member

__all__ = [
    "MEL_NAMES",
    "MelEntry",
    "MelLayout",
    "find_mels",
    "mel_entries",
    "mel_shape",
    "read_arrays",
    "read_mel",
    "write_mel",
]


def read_mel(
    path: str | Path, layout: MelLayout = DEFAULT_LAYOUT, entry: MelEntry | None = None
) -> Tensor:
    """Read a mel of a file.

    The formats are npy, npz, pt, pth and safetensors; with the extras of these names also h5 and
    hdf5 (``hdf5``), Parquet and Arrow (``arrow``), and pictures as png (``images``); and Kaldi's
    ark and scp, and tar as WebDataset writes it.

    Pickled objects are never loaded, shell commands in scp files are never run, and the memory in
    use is bounded by the file's size, see `torchmelinv.io.safe_load`. Another program may change
    the file meanwhile: the result is then what was read, or an error.

    Args:
        path: Path of the file.
        layout: How mels lie in the file.
        entry: Which mel of the file, from `mel_entries`. Default: the only one.

    Returns:
        The mel (…, n_mels, n_frames) on the CPU, in its own dtype.

    Raises:
        FileError: If the file cannot be read, does not hold exactly one mel, or does not fit into
            the memory.
        DependencyError: If the file needs a package that cannot be loaded.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from torchmelinv.io.mels import MelLayout, read_mel
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.npz")
        ...     np.savez(path, feats=np.zeros((5, 80)), f0=np.zeros(5))
        ...     read_mel(path, MelLayout(key="feats", frames_first=True)).shape
        torch.Size([80, 5])
    """
    path = existing_file(path)
    suffix = known_suffix(path)
    if suffix in ARRAY_READERS or suffix == PICTURE_SUFFIX:
        key = entry.name if entry is not None and entry.name else layout.key
        return _oriented(_read_one(path, suffix, key, layout), layout.frames_first)
    if entry is None:
        entry, *others = mel_entries(path, layout)
        if others:
            names = shown_names([entry.name, *(each.name for each in others)])
            raise FileError(f"{path} holds the mels {names}; choose one by its key (--key NAME)")
    with reading(path):
        if suffix in KALDI_SUFFIXES:
            return _oriented(read_matrix(entry.path, entry), frames_first=True)
        if suffix == TAR_SUFFIX:
            mel: Tensor | Member = read_member(path, entry)
        else:
            mel = read_row(path, choose_field(path, layout.key, table_columns(path)), entry)
        if isinstance(mel, Member):
            mel = _read_one(mel, mel.suffix, None, layout)
    return _oriented(mel, layout.frames_first)


def _read_one(path: Path | Member, suffix: str, key: str | None, layout: MelLayout) -> Tensor:
    """Return the mel of a picture or of a file of arrays."""
    if suffix != PICTURE_SUFFIX:
        return read_array(path, suffix, choose_mel(path, key))
    with reading(path):
        if layout.picture is None:
            raise FileError(
                f"{path} is a picture, and this convention states no scale for its pixels; "
                "--convention riffusion or diffusers_mel do"
            )
        return read_picture(path, layout.picture)


def _oriented(mel: Tensor, frames_first: bool) -> Tensor:
    """Return a mel as (…, n_mels, n_frames)."""
    return mel.mT.contiguous() if frames_first and mel.ndim > 1 else mel


def mel_shape(
    path: str | Path, layout: MelLayout = DEFAULT_LAYOUT, entry: MelEntry | None = None
) -> tuple[int, ...]:
    """Read the shape of a file's mel, from its header where there is one.

    Args:
        path: Path of the file, as for `read_mel`.
        layout: How mels lie in the file.
        entry: Which mel of the file. Default: the only one.

    Returns:
        The shape (…, n_mels, n_frames).

    Raises:
        FileError: If the file cannot be read, or does not hold exactly one mel.
        DependencyError: If the file needs a package that cannot be loaded.

    Example:
        >>> import pathlib, tempfile
        >>> import torch
        >>> from torchmelinv.io.mels import mel_shape
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.pt")
        ...     torch.save(torch.zeros(80, 5), path)
        ...     mel_shape(path)
        (80, 5)
    """
    path = existing_file(path)
    suffix = known_suffix(path)
    if suffix not in ARRAY_READERS:
        return tuple(read_mel(path, layout, entry).shape)
    key = entry.name if entry is not None and entry.name else layout.key
    shape = array_shape(path, suffix, choose_mel(path, key))
    return (*shape[:-2], *shape[:-3:-1]) if layout.frames_first else shape


def write_mel(path: str | Path, mel: Tensor) -> None:
    """Write a mel as npy. No partial file is left at `path`, see `atomic_write`."""
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, mel.detach().cpu().numpy(), allow_pickle=False)


def find_mels(folder: str | Path, others: Sequence[str] = ()) -> list[Path]:
    """Return the mel files below a folder, sorted, see `find_files`.

    An scp lists matrices of archives, which are found themselves, and other things than mels, so it
    is left out. Pictures count only if the folder has no other file: they may be plots of those. Of
    a dataset that Hugging Face `datasets` saved, its own files count, not those of its cache.

    Args:
        folder: The folder.
        others: Suffixes of files that are found too.

    Returns:
        Paths of the files.
    """
    suffixes = [suffix for suffix in MEL_SUFFIXES if suffix not in (".scp", PICTURE_SUFFIX)]
    paths = [path for path in find_files(folder, [*suffixes, *others]) if _belongs(path)]
    return paths or find_files(folder, [PICTURE_SUFFIX])


def _belongs(path: Path) -> bool:
    """Return whether a file is none that `datasets` keeps beside those of a saved dataset."""
    files = dataset_files(path.parent) if path.suffix.lower() == ".arrow" else None
    return files is None or path.name in files
