"""Reading and writing of mel files: which formats there are, and which array is the mel."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import DependencyError, FileError, short
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.hdf5_files import read_hdf5
from torchmelinv.io.kaldi_files import ark_entries, read_matrix, scp_entries
from torchmelinv.io.mel_formats import (
    ARRAY_SUFFIXES,
    MEL_SUFFIXES,
    PICTURE_SUFFIX,
    TABLE_SUFFIXES,
    TAR_SUFFIX,
)
from torchmelinv.io.memory import memory_errors
from torchmelinv.io.paths import atomic_write, existing_file, find_files
from torchmelinv.io.picture_files import Picture, read_picture
from torchmelinv.io.plain_files import Member
from torchmelinv.io.safe_load import Choose, npy_shape, read_numpy
from torchmelinv.io.safetensors_files import read_safetensors
from torchmelinv.io.table_files import dataset_files, read_row, table_columns, table_entries
from torchmelinv.io.tar_files import field_with_suffix, read_member, tar_fields
from torchmelinv.io.torch_files import read_torch

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

# Readers of files that hold arrays by name.
_ARRAYS: dict[str, Callable[[Path | Member, Choose], Tensor]] = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
_KALDI = {".ark": ark_entries, ".scp": scp_entries}
# suffix: (module that must load before the file is read, the extra that installs it)
_PACKAGES = {
    ".safetensors": ("safetensors", None),
    ".h5": ("h5py", "hdf5"),
    ".hdf5": ("h5py", "hdf5"),
    ".parquet": ("pyarrow", "arrow"),
    ".arrow": ("pyarrow", "arrow"),
    ".png": ("PIL.Image", "images"),
}
# Names that mark the mel among several arrays of a file.
MEL_NAMES = (
    "mel",
    "mels",
    "log_mel",
    "logmel",
    "mel_spec",
    "mel_specgram",
    "mel_spectrogram",
    "melspec",
    "input_features",
)
_SHOWN = 12  # names in an error
_MOST_SMALL = 64  # arrays of a file that is read as a whole


@dataclasses.dataclass(frozen=True)
class MelLayout:
    """How mels lie in their files.

    Args:
        key: Which array of a file is the mel: the name in an npz, safetensors or HDF5 file, the key
            in a dictionary (``outputs/mel`` in nested ones, an index in a list), the utterance in a
            Kaldi archive, the column of a table, the field of a WebDataset sample (``mel.npy``). A
            pattern such as ``*`` or ``*/mel`` selects many mels of one file. Default: the only
            array, the only one with a name of `MEL_NAMES`, or the only one of two or more
            dimensions; all mels of a file whose format is one of many mels.
        frames_first: Whether mels are (…, n_frames, n_mels). Those of Kaldi archives always are.
        picture: Scale of the pixels of pictures. Default: pictures are refused.

    Example:
        >>> from torchmelinv.io.mels import MelLayout
        >>> MelLayout(key="feats", frames_first=True).selects_many
        False
    """

    key: str | None = None
    frames_first: bool = False
    picture: Picture | None = None

    @property
    def selects_many(self) -> bool:
        """Whether `key` is a pattern."""
        return self.key is not None and any(sign in self.key for sign in "*?[")


_DEFAULT = MelLayout()


def _names(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]] | None = None) -> str:
    """Return names for an error, with their shapes where a file has few."""
    shown = [f"{short(name)} {shape(name)}" if shape else short(name) for name in names[:_SHOWN]]
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return (", ".join(shown) or "nothing") + more


def _no_key(path: object, key: str, names: Sequence[Any]) -> FileError:
    return FileError(f"{path} has no {key!r}; it holds {_names(names)}")


def _choose_mel(path: object, key: str | None) -> Choose:
    """Return a function that chooses the array `key`, the only one, or the one named as a mel."""

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        if key is not None:
            keyed = [name for name in names if str(name) == key]
            if not keyed and list(names) != [""]:  # a file of one array without a name
                raise _no_key(path, key, names)
            return keyed[0] if keyed else names[0]
        named = [name for name in names if str(name).rpartition("/")[2].lower() in MEL_NAMES]
        candidates = names if len(names) == 1 else named
        if not candidates and len(names) <= _SHOWN:  # beside a rate, a pitch, an energy, …
            candidates = [name for name in names if len(shape(name)) > 1]
        if len(candidates) == 1:
            return candidates[0]
        raise FileError(
            f"{path} holds {_names(names, shape)}; choose the mel by its key (--key NAME, or "
            "--key '*' for all); without a key, a file must hold exactly one array, one of two or "
            f"more dimensions, or one with a name such as {MEL_NAMES[0]}"
        )

    return choose


class _Found(Exception):
    """Ends a reader as soon as it has what is asked for."""


def mel_entries(path: str | Path, layout: MelLayout = _DEFAULT) -> list[MelEntry]:
    """List the mels of a file, without reading them where the format allows.

    Args:
        path: Path of the file, as for `read_mel`.
        layout: How mels lie in the file.

    Returns:
        The mels, in the order of the file. One entry without a name for a file that holds one mel.

    Raises:
        FileError: If the file cannot be read, or holds no such mel.
        DependencyError: If the file needs a package that cannot be loaded.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from torchmelinv.io.mels import MelLayout, mel_entries
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "mels.npz")
        ...     np.savez(path, a=np.zeros((80, 5)), b=np.zeros((80, 6)))
        ...     [entry.name for entry in mel_entries(path, MelLayout(key="*"))]
        ['a', 'b']
    """
    path = existing_file(path)
    suffix = _known_suffix(path)
    if (suffix in _ARRAYS and not layout.selects_many) or suffix == PICTURE_SUFFIX:
        return [MelEntry(path)]
    with _reading(path):
        entries = list(_list_entries(path, suffix, layout.key))
    if not entries:
        raise FileError(f"{path} holds no mel")
    return entries


def _list_entries(path: Path, suffix: str, key: str | None) -> Iterable[MelEntry]:
    if suffix in TABLE_SUFFIXES:
        return table_entries(path, _choose_field(path, key, table_columns(path)))
    if suffix == TAR_SUFFIX:
        fields = tar_fields(path)
        mels = field_with_suffix(list(fields), (*_ARRAYS, PICTURE_SUFFIX))
        return fields[_choose_field(path, key, mels)]
    if suffix in _KALDI:
        entries = list(_KALDI[suffix](path))
    else:
        entries = [MelEntry(path, str(name)) for name in _array_names(path, suffix)]
    return entries if key is None else _matching(path, entries, key)


def _choose_field(path: Path, key: str | None, names: Sequence[str]) -> str:
    """Return the column or field that holds the mels."""
    named = [name for name in names if name.partition(".")[0].lower() in MEL_NAMES]
    if key is not None:
        if key not in names:
            raise _no_key(path, key, names)
        return key
    for candidates in (names, named):
        if len(candidates) == 1:
            return candidates[0]
    if not names:
        raise FileError(f"{path} holds no mels: no columns of lists of lists, no files of arrays")
    raise FileError(
        f"{path} has mels or pictures in {_names(names)}; choose one by its key (--key NAME)"
    )


def _array_names(path: Path, suffix: str) -> list[Any]:
    def choose(names: Sequence[Any], _: Callable[[Any], tuple[int, ...]]) -> Any:
        raise _Found(list(names))

    if suffix == ".npy":
        return [""]
    try:
        _ARRAYS[suffix](path, choose)
    except _Found as found:
        return list(found.args[0])
    return [""]


def _matching(path: Path, entries: Sequence[MelEntry], key: str) -> list[MelEntry]:
    matching = [entry for entry in entries if entry.name == key]
    matching = matching or [each for each in entries if fnmatch.fnmatchcase(each.name, key)]
    if not matching:
        raise _no_key(path, key, [entry.name for entry in entries])
    return matching


def read_mel(
    path: str | Path, layout: MelLayout = _DEFAULT, entry: MelEntry | None = None
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
    suffix = _known_suffix(path)
    if suffix in _ARRAYS or suffix == PICTURE_SUFFIX:
        key = entry.name if entry is not None and entry.name else layout.key
        return _oriented(_read_arrays(path, suffix, key, layout), layout.frames_first)
    if entry is None:
        entry, *others = mel_entries(path, layout)
        if others:
            names = _names([entry.name, *(each.name for each in others)])
            raise FileError(f"{path} holds the mels {names}; choose one by its key (--key NAME)")
    with _reading(path):
        if suffix in _KALDI:
            return _oriented(read_matrix(entry.path, entry), frames_first=True)
        if suffix == TAR_SUFFIX:
            mel: Tensor | Member = read_member(path, entry)
        else:
            mel = read_row(path, _choose_field(path, layout.key, table_columns(path)), entry)
        if isinstance(mel, Member):
            mel = _read_arrays(mel, mel.suffix, None, layout)
    return _oriented(mel, layout.frames_first)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a small npy, npz, pt, safetensors or HDF5 file, in float64."""
    suffix = _known_suffix(path)
    if suffix not in _ARRAYS:
        raise FileError(f"{path} ends in {path.suffix!r}; it must be {' '.join(ARRAY_SUFFIXES)}")
    with _reading(path):
        names = _array_names(path, suffix)
    if len(names) > _MOST_SMALL:
        raise FileError(f"{path} holds {len(names)} arrays; it must hold at most {_MOST_SMALL}")
    arrays = {str(name): _read_arrays(path, suffix, str(name) or None, _DEFAULT) for name in names}
    return {name: array.double().numpy() for name, array in arrays.items()}


def _oriented(mel: Tensor, frames_first: bool) -> Tensor:
    """Return a mel as (…, n_mels, n_frames)."""
    return mel.mT.contiguous() if frames_first and mel.ndim > 1 else mel


def _read_arrays(
    path: Path | Member,
    suffix: str,
    key: str | None,
    layout: MelLayout,
    choose: Choose | None = None,
) -> Tensor:
    with _reading(path):
        if suffix == PICTURE_SUFFIX:
            if layout.picture is None:
                raise FileError(
                    f"{path} is a picture, and this convention states no scale for its pixels; "
                    "--convention riffusion or diffusers_mel do"
                )
            return read_picture(path, layout.picture)
        return _ARRAYS[suffix](path, choose or _choose_mel(path, key))


def mel_shape(
    path: str | Path, layout: MelLayout = _DEFAULT, entry: MelEntry | None = None
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
    suffix = _known_suffix(path)
    if suffix not in _ARRAYS:
        return tuple(read_mel(path, layout, entry).shape)
    choose_mel = _choose_mel(path, entry.name if entry is not None and entry.name else layout.key)

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        raise _Found(shape(choose_mel(names, shape)))

    try:
        if suffix == ".npy" and not zipfile.is_zipfile(path):
            shape = npy_shape(path)
        else:
            shape = tuple(_read_arrays(path, suffix, None, layout, choose).shape)
    except _Found as found:
        shape = found.args[0]
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be read: {error}") from None
    return (*shape[:-2], *shape[:-3:-1]) if layout.frames_first else shape


def _known_suffix(path: Path) -> str:
    """Return the suffix of a file that can be read; its package must load."""
    suffix = path.suffix.lower()
    if suffix not in MEL_SUFFIXES:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise FileError(f"{path} {came}; mels are read from {' '.join(MEL_SUFFIXES)} files")
    if suffix in _PACKAGES:
        require(*_PACKAGES[suffix])
    return suffix


@contextlib.contextmanager
def _reading(path: Path | Member) -> Iterator[None]:
    """Turn what readers raise into our errors."""
    try:
        with memory_errors(path):
            yield
    except (FileError, DependencyError, _Found):
        raise
    except Exception as error:  # the libraries raise nearly anything for damaged files
        reason = (str(error).splitlines() or [""])[0].split(". ")[0][:300] or type(error).__name__
        message = f"{path} cannot be read as {path.suffix.lower()}: {reason}"
        raise FileError(message) from None


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
