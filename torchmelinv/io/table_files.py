"""Mels of Arrow and Parquet tables, such as those of Hugging Face `datasets`, as untrusted input.

A row is a mel: lists of lists of numbers, or the bytes of an npy file or of a picture. The library
checks each row before its values are used.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.errors import DependencyError
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain, stream_size
from torchmelinv.io.safe_load import Shape, most_bytes, native_tensor

# Columns whose values name the rows, the first that is there.
_NAMES = ("id", "utt_id", "utterance_id", "__key__", "key", "name", "file", "path", "audio_id")
_EXTRA = "arrow"
_SAFE = (14, 0, 1)
_DICTIONARY = 2  # type of a message
_PICTURE, _NPY = b"\x89PNG", b"\x93NUMPY"


def _pyarrow() -> Any:
    """Return pyarrow; versions before 14.0.1 run code that a file holds."""
    pyarrow = require("pyarrow", _EXTRA)
    version = tuple(int(part) for part in pyarrow.__version__.split(".")[:3] if part.isdecimal())
    if version < _SAFE:
        raise DependencyError(
            f"pyarrow {pyarrow.__version__} runs code that a file holds; "
            f"`pip install 'torchmelinv[{_EXTRA}]'` provides a newer one"
        )
    return pyarrow


class _Bounded:
    """A file whose `read` allocates what is there, not what a damaged header promises."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.seek, self.tell, self.closed = stream.seek, stream.tell, False

    def read(self, count: int = -1) -> bytes:
        rest = max(self._size - self.tell(), 0)
        return self._stream.read(rest if count < 0 else min(count, rest))

    def close(self) -> None:
        """Do nothing: the table closes the file."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


class _Table:
    """An open table of either format; rows come in groups."""

    def __init__(self, path: Path) -> None:
        pyarrow = _pyarrow()
        self._stream = open_plain(path)
        self.size, head = stream_size(self._stream), self._stream.read(6)
        self.path, self.parquet = path, path.suffix.lower() == ".parquet"
        # A file is a stream, and a footer that could lead to other messages.
        self._start = 8 if head == b"ARROW1" else 0
        self._source = pyarrow.PythonFile(_Bounded(self._stream, self.size), mode="r")

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()
        self._stream.close()

    def _parquet(self) -> Any:
        return require("pyarrow.parquet", _EXTRA).ParquetFile(self._source)

    def messages(self) -> Any:
        """Return a reader of the messages of an Arrow file."""
        self._source.seek(self._start)
        return require("pyarrow.ipc", _EXTRA).MessageReader.open_stream(self._source)

    def _ipc(self, columns: Sequence[int] | None = None) -> Any:
        _check_messages(self.path, _version(self.path))
        ipc = require("pyarrow.ipc", _EXTRA)
        options = ipc.IpcReadOptions(included_fields=columns or [])
        self._source.seek(self._start)
        return ipc.open_stream(self._source, options=options)

    def schema(self) -> Any:
        return self._parquet().schema_arrow if self.parquet else self._ipc().schema

    def groups(self, column: str, only: int | None = None) -> Iterator[Any]:
        """Yield the arrays of a column, group by group; with `only`, that group alone."""
        names = self.schema().names
        if self.parquet:
            file = self._parquet()
            for group in range(file.num_row_groups) if only is None else (only,):
                self._check_group(file.metadata.row_group(group))
                yield self._checked(file.read_row_group(group, columns=[column])[column])
            return
        for index, batch in enumerate(self._ipc([names.index(column)])):
            if only in (None, index):
                check_memory(self.path, 2 * batch.nbytes)
                yield self._checked(batch[batch.schema.names.index(column)])

    def _check_group(self, group: Any) -> None:
        values = max(group.column(i).num_values for i in range(group.num_columns))
        expanded = max(group.total_byte_size, 8 * values)
        if expanded > most_bytes(self.size):
            raise ValueError(f"it would expand to {expanded:.3g} bytes, too many for its size")
        check_memory(self.path, 2 * expanded)

    def _checked(self, array: Any) -> Any:
        """Return an array of one piece, after a check of its offsets and lengths."""
        if hasattr(array, "combine_chunks"):
            array = array.combine_chunks()
        array.validate(full=True)
        return getattr(array, "storage", array)  # of an extension type, such as Array2D


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=64)
def _check_messages(path: Path, version: tuple[int, int]) -> None:
    """Refuse compressed batches, whose size in memory nothing but their expansion tells."""
    with _Table(path) as table:
        for message in table.messages():
            if message.type != "schema" and _is_compressed(message.metadata.to_pybytes()):
                raise ValueError(
                    "its batches are compressed and could expand to any size; write it without "
                    "compression, or as Parquet"
                )


def _is_compressed(metadata: bytes) -> bool:
    """Return whether the flatbuffer of a message, of a record batch or a dictionary, says so."""

    def field(table: int, index: int) -> int:
        """Return the position of a table's field, 0 if it is absent."""
        vtable = table - struct.unpack_from("<i", metadata, table)[0]
        place = 4 + 2 * index
        if place + 2 > struct.unpack_from("<H", metadata, vtable)[0]:
            return 0
        (offset,) = struct.unpack_from("<H", metadata, vtable + place)
        return table + offset if offset else 0

    def follow(position: int) -> int:
        return int(position + struct.unpack_from("<I", metadata, position)[0])

    message = follow(0)
    kind, header = metadata[field(message, 1)], follow(field(message, 2))
    batch = follow(field(header, 1)) if kind == _DICTIONARY else header
    return field(batch, 3) != 0


def _is_nested(kind: Any) -> bool:
    types = _pyarrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _holds_mels(kind: Any) -> bool:
    """Return whether a column's type can be that of mels."""
    types = _pyarrow().types
    kind = getattr(kind, "storage_type", kind)
    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    if types.is_binary(kind) or types.is_large_binary(kind):
        return True
    return _is_nested(kind) and _is_nested(kind.value_type)


def table_columns(path: Path) -> list[str]:
    """Return the names of the columns that may hold mels."""
    with _Table(path) as table:
        return [field.name for field in table.schema() if _holds_mels(field.type)]


def table_entries(path: Path, column: str) -> Iterator[MelEntry]:
    """Yield the rows of a table, named by a column of names where there is one."""
    with _Table(path) as table:
        names = table.schema().names
        naming = next((name for name in _NAMES if name in names and name != column), None)
        row = 0
        for group in table.groups(naming or column):
            for value in group.to_pylist() if naming else [None] * len(group):
                name = f"{path.stem}_{row}" if value is None else str(value)
                yield MelEntry(path, name, row)
                row += 1


@functools.lru_cache(maxsize=2)  # rows come one by one, in order, from two threads
def _group(path: Path, column: str, index: int, version: tuple[int, int]) -> Any:
    with _Table(path) as table:
        return next(table.groups(column, only=index))


@functools.lru_cache(maxsize=64)
def _lengths(path: Path, column: str, version: tuple[int, int]) -> tuple[int, ...]:
    """Return the number of rows of each group."""
    with _Table(path) as table:
        if table.parquet:
            metadata = table._parquet().metadata
            return tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        return tuple(len(group) for group in table.groups(column))


def read_row(path: Path, column: str, entry: MelEntry) -> Tensor | Member:
    """Read the mel of a row, or return the file that its bytes are."""
    version, row = _version(path), entry.place
    for index, length in enumerate(_lengths(path, column, version)):
        if row < length:
            return _value(_group(path, column, index, version)[row], f"{path}: {entry.name[:200]}")
        row -= length
    raise ValueError(f"it ends before row {entry.place}")


def _value(value: Any, name: str) -> Tensor | Member:
    """Return what a cell holds."""
    types = _pyarrow().types
    if not value.is_valid:
        raise ValueError(f"the row of {name!r} is null")
    if types.is_struct(value.type):
        value = value["bytes"]
    if types.is_binary(value.type) or types.is_large_binary(value.type):
        content = value.as_py() or b""
        suffix = {_PICTURE: ".png", _NPY: ".npy"}
        found = [each for head, each in suffix.items() if content.startswith(head)]
        if not found:
            raise ValueError("its bytes are neither an npy file nor a png picture")
        return Member(content, name, found[0])
    array, shape = getattr(value, "values", None), []
    while array is not None and _is_nested(array.type):
        shape.append(_one_length(array))
        array = array.flatten()
    if array is None or not shape or array.null_count:
        raise ValueError("its rows are no lists of lists of numbers, or have nulls")
    values = array.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"it holds {values.dtype}, not numbers")
    outer: Shape = (len(value.values),)
    return native_tensor(np.array(values).reshape(*outer, *shape))


def _one_length(array: Any) -> int:
    """Return the length that all lists of an array have."""
    if array.null_count:
        raise ValueError("its lists have nulls")
    if _pyarrow().types.is_fixed_size_list(array.type):
        return int(array.type.list_size)
    lengths = set(array.value_lengths().unique().to_pylist())
    if len(lengths) != 1:
        raise ValueError("its rows are lists of different lengths")
    return int(lengths.pop())


def dataset_files(folder: Path) -> list[str] | None:
    """Return the file names in the state.json of a saved Hugging Face dataset, None without it."""
    state = folder / "state.json"
    try:
        if state.stat().st_size > 2**24:
            return None
        files = json.loads(state.read_text(encoding="utf-8"))["_data_files"]
        return [str(each["filename"]) for each in files]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
