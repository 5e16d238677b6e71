"""Tensors of safetensors files, treated as untrusted input: see `safe_load`.

The library maps a whole file into memory, where another program that shortens it would end the
process. Here the chosen tensor is read, and the library gets a file of that tensor alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from torchmelinv._utils.text import unique_keys
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain, stream_size
from torchmelinv.io.safe_load import Choose, Shape

_MOST_HEADER = 10**8  # bytes, as in the library


def _read_header(stream: BinaryIO, size: int) -> tuple[Mapping[str, Any], int]:
    """Return the entries of the header and where the data starts."""
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(_MOST_HEADER, size - 8):
        raise ValueError("it is truncated, or not a safetensors file")
    try:
        entries = json.loads(stream.read(length), object_pairs_hook=unique_keys)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(entries, dict):
        raise ValueError("its header is no table of tensors")
    entries.pop("__metadata__", None)
    return entries, 8 + length


def _check_layout(entries: Mapping[str, Any], n_bytes: int) -> None:
    """Refuse tensors that overlap, leave gaps, or end elsewhere than the file."""
    end = 0
    try:
        for start, stop in sorted(entry["data_offsets"] for entry in entries.values()):
            if type(start) is not int or type(stop) is not int or start != end or stop < start:
                raise ValueError("its tensors overlap or leave gaps")
            end = stop
    except (KeyError, TypeError):
        raise ValueError("its header is damaged") from None
    if end != n_bytes:
        raise ValueError(
            f"its header promises {end} bytes of tensors and it has {n_bytes}; it is truncated, or "
            "something follows it"
        )


def read_safetensors(path: Path | Member, choose: Choose) -> Tensor:
    """Read a safetensors file."""
    from safetensors.torch import load

    with open_plain(path) as stream:
        size = stream_size(stream)
        entries, start = _read_header(stream, size)
        _check_layout(entries, size - start)

        def shape(name: str) -> Shape:
            return tuple(entries[name]["shape"])

        name = choose(list(entries), shape)
        first, last = entries[name]["data_offsets"]
        check_memory(path, 3 * (last - first))
        stream.seek(start + first)
        data = stream.read(last - first)
        if len(data) < last - first:
            raise ValueError("it changed while it was read; wait until it is complete")
    entry = {**entries[name], "data_offsets": [0, last - first]}
    header = json.dumps({"mel": entry}).encode()
    return load(len(header).to_bytes(8, "little") + header + data)["mel"]
