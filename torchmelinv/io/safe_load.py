"""Arrays of npy, npz, pt and safetensors files, treated as untrusted input.

No code in a file runs, and no header is trusted: the size that it promises is compared with the
file's size before memory is allocated. Compressed archives may expand to `most_bytes` of their
size. Of several arrays only the chosen one is read.

Each reader takes the path and a function `choose(names, shape)`. `names` are those of the arrays,
`shape` maps a name to a shape, and the result is one of the names. A reader returns a tensor with
memory of its own, in the byte order of the machine. It may raise nearly anything for damaged files.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.io.safe_pickle import PICKLED, check_pickle

Shape = tuple[int, ...]
Choose = Callable[[Sequence[Any], Callable[[Any], Shape]], Any]

_NPY_HEADER = 10_012  # bytes of the longest header that numpy reads


def most_bytes(size: int) -> int:
    """Return how many bytes a file of `size` bytes may take in memory.

    Legitimate audio and mels, except hours of silence, compress far less than this.
    """
    return 2**28 + 256 * size


def npy_header(head: bytes, size: int) -> tuple[Shape, np.dtype[Any]]:
    """Return the shape and dtype of an npy file of `size` bytes from its first 10012 bytes.

    Raises ValueError for arrays of anything but numbers, and if the file is too short for what its
    header promises.
    """
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(
            f"it has version {version[0]}.{version[1]} of the format; plain arrays have 1.0 or 2.0"
        )
    try:
        shape, _, dtype = readers[version](stream)
    except MemoryError:  # Python's parser raises it for deep nesting; 10 kB give no other reason
        raise ValueError("its header is nested too deeply") from None
    if dtype.hasobject:
        raise ValueError(PICKLED)
    if dtype.kind not in "fiuc":
        raise ValueError(
            f"it holds an array of {str(dtype)[:100]}, not of numbers; save the mel as float32"
        )
    promised = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + promised > size:
        raise ValueError(
            f"it is too short for the array of shape {str(shape)[:100]} that its header promises"
        )
    return shape, dtype


def npy_shape(path: Path) -> Shape:
    """Return the shape in the header of an npy file."""
    with path.open("rb") as stream:
        return npy_header(stream.read(_NPY_HEADER), path.stat().st_size)[0]


def _native(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor of the machine's byte order, long doubles as doubles."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    doubles = {"f": np.float64, "c": np.complex128}
    if array.dtype.itemsize > 8 and array.dtype.kind in doubles:
        array = array.astype(doubles[array.dtype.kind])
    return torch.from_numpy(np.ascontiguousarray(array))


def read_numpy(path: Path, choose: Choose) -> Tensor:
    """Read an npy or npz file; its content, not its suffix, decides which of the two."""
    with path.open("rb") as stream:
        head = stream.read(_NPY_HEADER)
        if head[:2] == b"PK":
            return _read_npz(path, choose)
        npy_header(head, path.stat().st_size)
        stream.seek(0)
        return _native(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(path: Path, choose: Choose) -> Tensor:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}

        def shape(name: str) -> Shape:
            entry = entries[name]
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name[:100]!r} has a compression that numpy does not use")
            with archive.open(entry) as stream:
                return npy_header(stream.read(_NPY_HEADER), entry.file_size)[0]

        name = choose(list(entries), shape)
        size = entries[name].file_size
        if size > most_bytes(path.stat().st_size):
            raise ValueError(
                f"it would expand to {size:.3g} bytes, too many for an archive of its size; "
                "save it with np.savez"
            )
        shape(name)  # check the header
        with archive.open(entries[name]) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):  # this read also makes zipfile compare the checksum
                raise ValueError("it holds more than its header promises")
    return _native(array)


def _check_torch_archive(path: Path) -> None:
    """Refuse a file that is not a plain archive of `torch.save` with a harmless pickle."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise ValueError(
                "it is truncated, or not a file of torch.save since version 1.6; "
                "torch.load it and torch.save it again"
            )
        stream.seek(-min(22, size), io.SEEK_END)
        end = stream.read()
        # The directory must end the file, so that every reader finds the same one.
        if not end.startswith(b"PK\5\6") or end[-2:] != b"\0\0":
            raise ValueError("it is truncated, or something follows it")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        names = {entry.filename.lower() for entry in entries}
        # Readers differ in which of two entries of one name they take.
        if len(names) < len(entries) or any("\0" in entry.orig_filename for entry in entries):
            raise ValueError("it holds two entries of one name; save the mel with torch.save")
        compressed = any(entry.compress_type for entry in entries)
        if compressed or sum(entry.file_size for entry in entries) > size:
            raise ValueError("its entries are compressed or overlap; save the mel with torch.save")
        for entry in entries:
            if entry.filename.lower().endswith("data.pkl"):
                folder = entry.filename.rpartition("/")[0]
                check_pickle(archive.read(entry), _storage_sizes(entries, folder))


def _storage_sizes(entries: Sequence[zipfile.ZipInfo], folder: str) -> dict[str, int]:
    """Return the bytes of each storage of a torch.save archive, by its key."""
    prefix = f"{folder}/data/"
    return {
        entry.filename.removeprefix(prefix): entry.file_size
        for entry in entries
        if entry.filename.startswith(prefix)
    }


def read_torch(path: Path, choose: Choose) -> Tensor:
    """Read a file of `torch.save` since version 1.6: a tensor, or a dictionary that holds some.

    The file is mapped into memory, so that a storage has no more bytes than the file has, and the
    chosen tensor is copied.
    """
    _check_torch_archive(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    values: Mapping[Any, Any] = loaded if isinstance(loaded, dict) else {"": loaded}
    mel = values[choose(list(values), lambda name: tuple(getattr(values[name], "shape", ())))]
    if not isinstance(mel, Tensor):
        raise ValueError(
            f"it holds a {type(mel).__name__}, not an array; "
            "save the mel itself as one array or tensor"
        )
    if mel.numel() * mel.element_size() > path.stat().st_size:
        raise ValueError(
            f"its tensor of shape {tuple(mel.shape)} has more values than the file; "
            "save a contiguous one"
        )
    return mel.detach().clone(memory_format=torch.contiguous_format)


def read_safetensors(path: Path, choose: Choose) -> Tensor:
    """Read a safetensors file; that library itself compares header and size."""
    from safetensors import safe_open

    def shape(name: str) -> Shape:
        return tuple(archive.get_slice(name).get_shape())

    with safe_open(path, framework="pt", device="cpu") as archive:
        return archive.get_tensor(choose(list(archive.keys()), shape)).clone()
