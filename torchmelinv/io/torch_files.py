"""Arrays of the files of `torch.save`, treated as untrusted input: see `safe_load`.

A file may hold a tensor, a numpy array or a list of numbers, or dictionaries and lists of these. An
entry within others is named by its path, such as ``outputs/mel`` or ``0/mel``. Only the chosen
tensor is read from the archive.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.text import unique_keys
from torchmelinv.io.plain_files import Member, read_content
from torchmelinv.io.safe_load import Choose, Shape, native_tensor
from torchmelinv.io.safe_pickle import StoredTensor, numpy_array, read_pickle

_MOST_NAMES = 100_000  # that are listed
_MOST_CHARACTERS = 2**25  # of all names
_MOST_DEPTH = 6  # of dictionaries and lists within each other


class _Archive:
    """An archive of `torch.save`: what its pickle holds, and its storages.

    Raises ValueError for what is not a plain archive with a harmless pickle.
    """

    def __init__(self, content: bytes) -> None:
        if not content.startswith(b"PK\3\4"):
            raise ValueError(
                "it is truncated, or not a file of torch.save since version 1.6; "
                "torch.load it and torch.save it again"
            )
        # The directory must end the file, so that every reader finds the same one.
        if content[-22:-18] != b"PK\5\6" or content[-2:] != b"\0\0":
            raise ValueError("it is truncated, or something follows it")
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        entries = self._archive.infolist()
        # Readers differ in which of two entries of one name they take, and in where a name ends.
        unique_keys((entry.filename.lower(), entry) for entry in entries)
        if any("\0" in entry.orig_filename for entry in entries):
            raise ValueError("the name of an entry holds a null; save the mel with torch.save")
        compressed = any(entry.compress_type for entry in entries)
        if compressed or sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("its entries are compressed or overlap; save the mel with torch.save")
        pickles = [each for each in entries if each.filename.lower().endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError("it holds no data.pkl, or several; save the mel with torch.save")
        self._folder = pickles[0].filename.rpartition("/")[0]
        prefix = f"{self._folder}/data/"
        sizes = {
            entry.filename.removeprefix(prefix): entry.file_size
            for entry in entries
            if entry.filename.startswith(prefix)
        }
        self.size = len(content)
        self.value = read_pickle(self._archive.read(pickles[0]), sizes)

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Return a tensor with memory of its own."""
        if stored.dtype.itemsize * _count(stored.size) > self.size:
            raise ValueError(
                f"its tensor of shape {stored.size} has more values than the file; "
                "save a contiguous one"
            )
        if 0 in stored.size:
            return torch.empty(stored.size, dtype=stored.dtype)
        values = self._archive.read(f"{self._folder}/data/{stored.key}")
        if self._byte_order() == b"big":
            # A complex number is two floats, each in the byte order.
            width = stored.dtype.itemsize // (2 if stored.dtype.is_complex else 1)
            numbers = values[: len(values) // width * width]
            values = np.frombuffer(numbers, f"V{width}").view(f"u{width}").byteswap().tobytes()
        whole = len(values) // stored.dtype.itemsize * stored.dtype.itemsize
        storage = torch.frombuffer(bytearray(values[:whole]), dtype=stored.dtype)
        view = storage.as_strided(stored.size, stored.stride, stored.offset)
        return view.clone(memory_format=torch.contiguous_format)

    def _byte_order(self) -> bytes:
        try:
            return self._archive.read(f"{self._folder}/byteorder")
        except KeyError:  # files before torch 2.1
            return b"little"


def _count(size: Sequence[int]) -> int:
    count = 1
    for length in size:
        count *= length
    return count


def _dimensions(value: Any) -> int:
    """Return the dimensions of nested lists of numbers by their first entries; 0 if not such."""
    dimensions = 0
    while isinstance(value, list | tuple) and value and dimensions < 5:
        value, dimensions = value[0], dimensions + 1
    return dimensions if isinstance(value, int | float) else 0


def _leaves(value: Any, path: Any = "", depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield the path and the value of everything within dictionaries and lists."""
    value = numpy_array(value)
    within: list[tuple[Any, Any]] = []
    if depth < _MOST_DEPTH and isinstance(value, dict):
        within = list(value.items())
    elif depth < _MOST_DEPTH and isinstance(value, list | tuple) and not _dimensions(value):
        within = [(str(index), each) for index, each in enumerate(value)]
    if not within:  # an empty one is a leaf: leaves bound the work, as entries may share their own
        yield path, value
    for key, each in within:
        yield from _leaves(each, key if path == "" else f"{path}/{key}", depth + 1)


def _list_arrays(value: Any) -> dict[Any, Any]:
    """Return all arrays by their paths; everything else as well if there is no array."""
    leaves: list[tuple[Any, Any]] = []
    n_characters = 0
    for name, leaf in _leaves(value):
        leaves.append((name, leaf))
        n_characters += len(str(name))
        if len(leaves) > _MOST_NAMES or n_characters > _MOST_CHARACTERS:
            raise ValueError(
                f"it holds more than {_MOST_NAMES} entries, or long names; save fewer in a file"
            )
    arrays = [(name, leaf) for name, leaf in leaves if _is_array(leaf)]
    return unique_keys(arrays or leaves)


def _is_array(value: Any) -> bool:
    return isinstance(value, StoredTensor | np.ndarray) or _dimensions(value) > 1


def _from_list(numbers: Any, most: int) -> Tensor:
    """Return nested lists of numbers as a tensor; `most` bounds what shared lists expand to."""
    n_numbers, first = 1, numbers
    while isinstance(first, list | tuple):
        n_numbers, first = n_numbers * len(first), first[0] if first else None
    if n_numbers > most:
        raise ValueError("its lists have more values than the file; save the mel as one array")
    try:
        array = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            "its lists are no array: they differ in length, or hold more than numbers"
        ) from None
    return torch.from_numpy(array)


def _shape_of(value: Any) -> Shape:
    if _dimensions(value):
        shape = []
        while isinstance(value, list | tuple):
            shape.append(len(value))
            value = value[0] if value else None
        return tuple(shape)
    return tuple(getattr(value, "shape", ()))


def read_torch(path: Path | Member, choose: Choose) -> Tensor:
    """Read a file of `torch.save` since version 1.6.

    What is checked is what is loaded: both see one copy of the file in memory, which nobody can
    change meanwhile.
    """
    archive = _Archive(read_content(path, copies=2))
    arrays = _list_arrays(archive.value)
    mel = arrays[choose(list(arrays), lambda name: _shape_of(arrays[name]))]
    if isinstance(mel, StoredTensor):
        return archive.tensor(mel)
    if isinstance(mel, np.ndarray):
        return native_tensor(mel.copy())
    if _dimensions(mel) > 1:
        return _from_list(mel, archive.size)
    raise ValueError(
        f"it holds a {type(mel).__name__}, not an array; save the mel itself as one array or tensor"
    )
