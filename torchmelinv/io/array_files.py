"""Files that hold arrays by name: their readers by suffix, and the errors of all readers."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.errors import DependencyError, FileError
from torchmelinv.io.hdf5_files import read_hdf5
from torchmelinv.io.mel_formats import ARRAY_SUFFIXES, known_suffix
from torchmelinv.io.mel_layout import choose_mel
from torchmelinv.io.memory import memory_errors
from torchmelinv.io.plain_files import Member
from torchmelinv.io.safe_load import Choose, npy_shape, read_numpy
from torchmelinv.io.safetensors_files import read_safetensors
from torchmelinv.io.torch_files import read_torch

__all__ = ["read_arrays"]

# Readers of files that hold arrays by name.
ARRAY_READERS: dict[str, Callable[[Path | Member, Choose], Tensor]] = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}
_MOST_SMALL = 64  # arrays of a file that is read as a whole


class _Found(Exception):
    """Ends a reader as soon as it has what is asked for."""


@contextlib.contextmanager
def reading(path: Path | Member) -> Iterator[None]:
    """Turn what readers raise into our errors."""
    try:
        with memory_errors(path):
            yield
    except (FileError, DependencyError, _Found):
        raise
    except Exception as error:  # the libraries raise nearly anything for damaged files
        reason = (str(error).splitlines() or [""])[0].split(". ")[0][:300] or type(error).__name__
        if isinstance(path, Path) and path.is_file() and path.stat().st_size == 0:
            reason = "the file is empty"
        elif "magic string" in reason:
            reason = "it does not begin as an npy file"
        message = f"{path} cannot be read as {path.suffix.lower()}: {reason}"
        raise FileError(message) from None


def read_array(path: Path | Member, suffix: str, choose: Choose) -> Tensor:
    """Return the array that `choose` chooses by the names and shapes of all."""
    with reading(path):
        return ARRAY_READERS[suffix](path, choose)


def array_shape(path: Path, suffix: str, choose: Choose) -> tuple[int, ...]:
    """Return the shape of the array that `choose` chooses, from its header where there is one."""

    def choose_shape(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        raise _Found(shape(choose(names, shape)))

    try:
        if suffix == ".npy" and not zipfile.is_zipfile(path):
            return npy_shape(path)
        return tuple(read_array(path, suffix, choose_shape).shape)
    except _Found as found:
        return tuple(found.args[0])
    except (OSError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be read: {error}") from None


def array_names(path: Path, suffix: str) -> list[Any]:
    """Return the names of the arrays of a file, without reading them."""

    def choose(names: Sequence[Any], _: Callable[[Any], tuple[int, ...]]) -> Any:
        raise _Found(list(names))

    if suffix == ".npy":
        return [""]
    try:
        ARRAY_READERS[suffix](path, choose)
    except _Found as found:
        return list(found.args[0])
    return [""]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a small npy, npz, pt, safetensors or HDF5 file, in float64."""
    suffix = known_suffix(path)
    if suffix not in ARRAY_READERS:
        raise FileError(f"{path} ends in {path.suffix!r}; it must be {' '.join(ARRAY_SUFFIXES)}")
    with reading(path):
        names = array_names(path, suffix)
    if len(names) > _MOST_SMALL:
        raise FileError(f"{path} holds {len(names)} arrays; it must hold at most {_MOST_SMALL}")
    arrays = {
        str(name): read_array(path, suffix, choose_mel(path, str(name) or None)) for name in names
    }
    return {name: array.double().numpy() for name, array in arrays.items()}
