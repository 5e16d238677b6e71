"""Matrices of Kaldi archives (ark) and of the scripts that list them (scp), as untrusted input.

An archive is a sequence of an utterance's name, a space and a binary matrix (n_frames, n_mels):
float, double, or compressed to one or two bytes a value. A script has a line for each utterance:
its name, and the archive and position of its matrix. Kaldi would also run a line that is a shell
command; here it is refused.

References:
    Kaldi, src/matrix/kaldi-matrix.cc and compressed-matrix.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv.io.entry import MelEntry
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import open_plain, stream_size
from torchmelinv.io.safe_load import native_tensor

_MOST_NAME = 4096  # bytes
_PLAIN: dict[bytes, np.dtype[Any]] = {b"FM ": np.dtype("<f4"), b"DM ": np.dtype("<f8")}
# token: (bytes of a value, whether each column has a header of four 16-bit numbers)
_COMPRESSED = {b"CM ": (1, True), b"CM2 ": (2, False), b"CM3 ": (1, False)}
_OTHERS = (
    "it holds something other than binary matrices (text, vectors, audio or pickles); write it "
    "with Kaldi's copy-feats, or kaldiio's default options"
)


class _Header(NamedTuple):
    """A matrix in an archive; the position of its values is that of the stream."""

    token: bytes
    rows: int
    columns: int
    low: float  # of compressed values
    range: float
    nbytes: int


def _read_name(stream: BinaryIO) -> str | None:
    """Read an utterance's name; None at the end of the archive."""
    name = b""
    while (byte := stream.read(1)) not in (b" ", b""):
        name += byte
        if len(name) > _MOST_NAME:
            raise ValueError("it is no Kaldi archive, or is damaged")
    if not byte:
        if name.strip():
            raise ValueError("it is truncated, or no Kaldi archive")
        return None
    return name.strip().decode()


def _unpack(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    size = struct.calcsize(form)
    content = stream.read(size)
    if len(content) < size:
        raise ValueError("it is truncated")
    return struct.unpack(form, content)


def _read_header(stream: BinaryIO, size: int) -> _Header:
    """Read up to the values of a matrix; the file must be long enough for them."""
    if stream.read(2) != b"\0B":
        raise ValueError(_OTHERS)
    token = stream.read(3)
    if token in (b"CM2", b"CM3"):
        token += stream.read(1)
    low, span = 0.0, 0.0
    if token in _PLAIN:
        marks_and_sizes = _unpack(stream, "<bibi")
        if marks_and_sizes[::2] != (4, 4):
            raise ValueError("the header of a matrix is damaged")
        rows, columns = marks_and_sizes[1::2]
        per_value, per_column = _PLAIN[token].itemsize, 0
    elif token in _COMPRESSED:
        low, span, rows, columns = _unpack(stream, "<ffii")
        per_value, has_headers = _COMPRESSED[token]
        per_column = 8 * has_headers
    else:
        raise ValueError(_OTHERS)
    nbytes = columns * (per_column + per_value * rows)
    if min(rows, columns) < 0 or stream.tell() + nbytes > size:
        raise ValueError("it is too short for a matrix that it promises, or damaged")
    return _Header(token, rows, columns, low, span, nbytes)


def ark_entries(path: Path) -> Iterator[MelEntry]:
    """Yield the matrices of an archive, without reading their values."""
    with open_plain(path) as stream:
        size = stream_size(stream)
        while (name := _read_name(stream)) is not None:
            place = stream.tell()
            header = _read_header(stream, size)
            stream.seek(header.nbytes, 1)
            yield MelEntry(path, name, place, header.rows * header.columns)


def scp_entries(path: Path) -> Iterator[MelEntry]:
    """Yield the matrices that a script lists, each in its archive.

    Paths are relative to the working directory, as in Kaldi, or to the script's folder.
    """
    with open_plain(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            name, _, place = line.decode().strip().partition(" ")
            place = place.strip()
            if place.startswith("|") or place.endswith("|"):
                raise ValueError(
                    f"line {number} is a shell command, which is never run; write an archive and "
                    "list that"
                )
            archive, _, offset = place.rpartition(":")
            if not archive or not offset.isascii() or not offset.isdecimal():
                raise ValueError(
                    f"line {number} must be a name and an archive's path:position, as copy-feats "
                    "and kaldiio write it"
                )
            yield MelEntry(_find_archive(archive, path), name, int(offset))


def _find_archive(name: str, script: Path) -> Path:
    archive = Path(name)
    return archive if archive.exists() else script.parent / archive


def read_matrix(path: Path, entry: MelEntry) -> Tensor:
    """Read a matrix (n_frames, n_mels) in float32 or float64."""
    with open_plain(path) as stream:
        size = stream_size(stream)
        if entry.place >= size:
            raise ValueError(f"it ends before the position {entry.place} of {entry.name[:100]!r}")
        stream.seek(entry.place)
        header = _read_header(stream, size)
        check_memory(path, 8 * header.rows * header.columns)
        content = stream.read(header.nbytes)
        if len(content) < header.nbytes:
            raise ValueError("it changed while it was read; wait until it is complete")
    if header.token in _PLAIN:
        values = np.frombuffer(bytearray(content), _PLAIN[header.token])
        return native_tensor(values.reshape(header.rows, header.columns))
    return torch.from_numpy(_decompress(content, header))


def _decompress(content: bytes, header: _Header) -> NDArray[np.float32]:
    """Return the values of a compressed matrix."""
    per_value, has_headers = _COMPRESSED[header.token]
    shape = header.rows, header.columns
    if not has_headers:
        codes = np.frombuffer(content, f"<u{per_value}").reshape(shape).astype(np.float64)
        values = header.low + header.range * codes / (256**per_value - 1)
        return values.astype(np.float32)
    quantiles = np.frombuffer(content, "<u2", 4 * header.columns).reshape(-1, 4)
    # The values of each column at the codes 0, 64, 192 and 255, and straight lines in between.
    nodes = header.low + header.range * quantiles.astype(np.float64) / 65535
    codes = np.frombuffer(content, np.uint8, offset=8 * header.columns)
    columns = codes.reshape(header.columns, header.rows)
    values = [
        np.interp(column, (0, 64, 192, 255), node)
        for column, node in zip(columns, nodes, strict=True)
    ]
    return np.array(values, dtype=np.float32).reshape(columns.shape).T.copy()
