"""What npy, npz, pt and safetensors files hold, read as if by an enemy: no code in them runs, and no header is believed.

What a header promises is compared with the size of its file before memory is taken for it. Compressed archives may become
`most_bytes` of their size and no more. Of several arrays only the chosen one is read. Every reader takes the path and
`choose(names, shape)`, which gets the names that there are and a function from name to shape, and gives one of them; it returns
an array or tensor of its own memory, in this machine's byte order. Readers raise nearly anything for damaged files.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Shape = tuple[int, ...]
Choose = Callable[[Sequence[Any], Callable[[Any], Shape]], Any]

PICKLED = "it holds pickled Python objects, which are never loaded, or is damaged; save the mel as one plain array"
_NPY_HEADER = 10_012  # bytes of the longest header that numpy reads
# Deeper nesting than this many tuples could make would overflow the stack when it is hashed. A tensor has four or five.
_TUPLES = 20_000
# What tensors, and dictionaries of tensors and plain values, are made of in a pickle; the storages and dtypes come on top.
_HARMLESS = {
    "collections OrderedDict", "torch Size", "torch device", "torch._utils _rebuild_parameter", "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3", "torch.storage UntypedStorage",
}


def most_bytes(size: int) -> int:
    """How large a file of `size` bytes may become in memory: honest audio and mels, hours of silence apart, stay far below."""
    return 2**28 + 256 * size


def npy_header(head: bytes, size: int) -> tuple[Shape, np.dtype[Any]]:
    """Shape and dtype from the first 10012 bytes of an npy file of `size` bytes, if it is long enough for what they promise."""
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"it has version {version[0]}.{version[1]} of the format; plain arrays have 1.0 or 2.0")
    try:
        shape, _, dtype = readers[version](stream)
    except MemoryError:  # of Python's parser: 10 kB are no reason for any other
        raise ValueError("its header is nested too deeply") from None
    if dtype.hasobject:
        raise ValueError(PICKLED)
    if dtype.kind not in "fiuc":
        raise ValueError(f"it holds an array of {str(dtype)[:100]}, not of numbers; save the mel as float32")
    promised = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or stream.tell() + promised > size:
        raise ValueError(f"its header promises an array of shape {str(shape)[:100]}, which it is too short for")
    return shape, dtype


def npy_shape(path: Path) -> Shape:
    """The shape in the header of an npy file."""
    with path.open("rb") as stream:
        return npy_header(stream.read(_NPY_HEADER), path.stat().st_size)[0]


def _native(array: NDArray[Any]) -> Tensor:
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    plain = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind) if array.dtype.itemsize > 8 else None
    return torch.from_numpy(np.ascontiguousarray(array if plain is None else array.astype(plain)))


def read_numpy(path: Path, choose: Choose) -> Tensor:
    """From npy or npz, whichever the file is."""
    with path.open("rb") as stream:
        head = stream.read(_NPY_HEADER)
        if head[:2] == b"PK":
            return _read_npz(path, choose)
        npy_header(head, path.stat().st_size)
        stream.seek(0)
        return _native(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(path: Path, choose: Choose) -> Tensor:
    most = most_bytes(path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}

        def shape(name: str) -> Shape:
            entry = entries[name]
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name[:100]!r} is compressed in another way than numpy's")
            with archive.open(entry) as stream:
                return npy_header(stream.read(_NPY_HEADER), entry.file_size)[0]

        chosen = choose(list(entries), shape)
        size = entries[chosen].file_size
        if size > most:
            raise ValueError(f"it would become {size:.3g} bytes, too many for an archive of its size; save it by np.savez")
        shape(chosen)
        with archive.open(entries[chosen]) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):  # also makes it compare the checksum
                raise ValueError("it holds more than its header promises")
    return _native(array)


def _check_pickle(content: bytes) -> None:
    """Refuse what no mel is made of: globals that are not harmless, and tuples that hash for ever or overflow the stack."""
    tuples, shared, last = 0, set(), ""
    for code, argument, _ in pickletools.genops(content):
        if code.name == "GLOBAL" and argument not in _HARMLESS:
            module, _, name = str(argument).rpartition(" ")
            if module != "torch" or not (name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)):
                raise ValueError(PICKLED)
        tuples += "TUPLE" in code.name
        if "PUT" in code.name and "TUPLE" in last:
            shared.add(argument)
        if tuples > _TUPLES or code.name == "DUP" or ("GET" in code.name and argument in shared):
            raise ValueError(PICKLED)
        last = code.name


def read_torch(path: Path, choose: Choose) -> Tensor:
    """From what `torch.save` writes since version 1.6: a tensor, or a dictionary that has some.

    The file is mapped, so that a storage is what the file has there and no more, and then the chosen tensor is copied.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\3\4":
            raise ValueError("it is cut, or no file of torch.save since version 1.6; torch.load it and torch.save it again")
        stream.seek(-min(22, size), io.SEEK_END)
        if not (end := stream.read()).startswith(b"PK\5\6") or end[-2:] != b"\0\0":  # so that every reader finds the same one
            raise ValueError("it is cut, or something follows it")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > size or any(entry.compress_type for entry in entries):
            raise ValueError("its entries are compressed or lie over each other; save the mel by torch.save")
        for entry in entries:
            if entry.filename.lower().endswith("data.pkl"):
                _check_pickle(archive.read(entry))
    loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    held: Mapping[Any, Any] = loaded if isinstance(loaded, dict) else {"": loaded}
    mel = held[choose(list(held), lambda name: tuple(getattr(held[name], "shape", ())))]
    if not isinstance(mel, Tensor):
        raise ValueError(f"it holds a {type(mel).__name__}, not an array; save the mel itself as one array or tensor")
    if mel.numel() * mel.element_size() > size:
        raise ValueError(f"its tensor of shape {tuple(mel.shape)} has more values than the file; save a contiguous one")
    return mel.detach().clone(memory_format=torch.contiguous_format)


def read_safetensors(path: Path, choose: Choose) -> Tensor:
    """From safetensors, whose library compares header and size itself."""
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as held:
        chosen = choose(list(held.keys()), lambda name: tuple(held.get_slice(name).get_shape()))
        return held.get_tensor(chosen).clone()
