"""Arrays of npy and npz files, treated as untrusted input.

No code in a file runs, and no header is trusted: the size that it promises is compared with the
file's size before memory is allocated. Compressed archives may expand to `most_bytes` of their
size. Of several arrays only the chosen one is read.

Each reader, here and in `torch_files` and `safetensors_files`, takes the path and a function
`choose(names, shape)`. The path may also be a `Member`, a file within another one. `names` are
those of the arrays, `shape` maps a name to a shape, and the
result is one of the names. A reader returns a tensor with memory of its own, in the byte order of
the machine. It may raise nearly anything for damaged files.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.text import unique_keys
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain, stream_size
from torchmelinv.io.safe_pickle import PICKLED

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
    with open_plain(path) as stream:
        return npy_header(stream.read(_NPY_HEADER), stream_size(stream))[0]


def native_tensor(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor of the machine's byte order, long doubles as doubles."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    doubles = {"f": np.float64, "c": np.complex128}
    if array.dtype.itemsize > 8 and array.dtype.kind in doubles:
        array = array.astype(doubles[array.dtype.kind])
    return torch.from_numpy(np.ascontiguousarray(array))


def read_numpy(path: Path | Member, choose: Choose) -> Tensor:
    """Read an npy or npz file; its content, not its suffix, decides which of the two."""
    with open_plain(path) as stream:
        head, size = stream.read(_NPY_HEADER), stream_size(stream)
        if head[:2] == b"PK":
            return _read_npz(path, stream, choose)
        shape, dtype = npy_header(head, size)
        check_memory(path, math.prod(shape) * dtype.itemsize)
        stream.seek(0)
        return native_tensor(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(path: Path | Member, file: BinaryIO, choose: Choose) -> Tensor:
    with zipfile.ZipFile(file) as archive:
        entries = unique_keys(
            (entry.filename.removesuffix(".npy"), entry) for entry in archive.infolist()
        )

        def shape(name: str) -> Shape:
            entry = entries[name]
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name[:100]!r} has a compression that numpy does not use")
            with archive.open(entry) as stream:
                return npy_header(stream.read(_NPY_HEADER), entry.file_size)[0]

        name = choose(list(entries), shape)
        size = entries[name].file_size
        if size > most_bytes(stream_size(file)):
            raise ValueError(
                f"it would expand to {size:.3g} bytes, too many for an archive of its size; "
                "save it with np.savez"
            )
        shape(name)  # check the header
        check_memory(path, size)
        with archive.open(entries[name]) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):  # this read also makes zipfile compare the checksum
                raise ValueError("it holds more than its header promises")
    return native_tensor(array)
