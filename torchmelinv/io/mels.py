"""Reading and writing of mel files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import FileError, short
from torchmelinv.io.memory import memory_errors
from torchmelinv.io.paths import atomic_write, existing_file, find_files
from torchmelinv.io.safe_load import Choose, npy_shape, read_numpy
from torchmelinv.io.safe_pickle import PICKLED
from torchmelinv.io.safetensors_files import read_safetensors
from torchmelinv.io.torch_files import read_torch

__all__ = ["MEL_NAMES", "MEL_SUFFIXES", "find_mels", "mel_shape", "read_mel", "write_mel"]

_READERS: dict[str, Callable[[Path, Choose], Tensor]] = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
}
MEL_SUFFIXES = tuple(_READERS)
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


def _choose_mel(path: Path) -> Choose:
    """Return a function that chooses the only array, or the only one that is named like a mel."""

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        named = [name for name in names if isinstance(name, str) and name.lower() in MEL_NAMES]
        candidates = named if len(names) != 1 else names
        if len(candidates) == 1:
            return candidates[0]
        content = ", ".join(f"{short(name)} {shape(name)}" for name in names[:12]) or "nothing"
        more = ", …" if len(names) > 12 else ""
        raise FileError(
            f"{path} holds {content}{more}; it must hold exactly one array, or one whose name is "
            f"among {', '.join(MEL_NAMES)}"
        )

    return choose


def read_mel(path: str | Path) -> Tensor:
    """Read the mel of an npy, npz, pt, pth or safetensors file.

    Pickled objects are never loaded, and the memory in use is bounded by the file's size, see
    `torchmelinv.io.safe_load`. Another program may change the file meanwhile: the result is then
    what was read, or an error.

    Args:
        path: Path of the file. If it holds several arrays, exactly one must have a name of
            `MEL_NAMES`.

    Returns:
        The mel on the CPU, in its own shape and dtype.

    Raises:
        FileError: If the file cannot be read, does not hold exactly one mel, or does not fit into
            the memory.
        DependencyError: If the file needs safetensors, which cannot be loaded.
    """
    path = existing_file(path)
    return _read(path, _choose_mel(path))


class _Shape(Exception):
    """Ends a reader as soon as the shape of the mel is known."""


def mel_shape(path: str | Path) -> tuple[int, ...]:
    """Read the shape of a file's mel, from its header where there is one.

    Args:
        path: Path of the file, as for `read_mel`.

    Returns:
        The shape.

    Raises:
        FileError: If the file cannot be read, or does not hold exactly one mel.
        DependencyError: If the file needs safetensors, which cannot be loaded.
    """
    path = existing_file(path)
    choose_mel = _choose_mel(path)

    def choose(names: Sequence[Any], shape: Callable[[Any], tuple[int, ...]]) -> Any:
        raise _Shape(shape(choose_mel(names, shape)))

    try:
        if path.suffix.lower() == ".npy" and not zipfile.is_zipfile(path):
            return npy_shape(path)
        return tuple(_read(path, choose).shape)
    except _Shape as found:
        return found.args[0]
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}") from None


def _read(path: Path, choose: Choose) -> Tensor:
    """Read a mel; turn what readers raise into our errors."""
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise FileError(f"{path} {came}; mels are read from {' '.join(MEL_SUFFIXES)} files")
    if suffix == ".safetensors":
        require("safetensors")
    try:
        with memory_errors(path):
            return _READERS[suffix](path, choose)
    except (FileError, _Shape):
        raise
    except Exception as error:  # the libraries raise nearly anything for damaged files
        reason = (str(error).splitlines() or [""])[0].split(". ")[0][:300] or type(error).__name__
        reason = PICKLED if "Weights only load failed" in str(error) else reason
        raise FileError(f"{path} cannot be read as {suffix}: {reason}") from None


def write_mel(path: str | Path, mel: Tensor) -> None:
    """Write a mel as npy. No partial file is left at `path`, see `atomic_write`."""
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, mel.detach().cpu().numpy(), allow_pickle=False)


def find_mels(folder: str | Path) -> list[Path]:
    """Return the mel files below a folder, sorted, see `find_files`."""
    return find_files(folder, MEL_SUFFIXES)
