"""Check that the pickle of a torch.save file holds tensors and plain values, before torch loads it.

The check walks through the opcodes on a stack of its own: no class or function of the pickle runs,
nothing is hashed, each storage must fit its entry in the archive, and each tensor must lie within
its storage. Otherwise a crafted file could allocate a storage that nobody fills, and read memory
that held other data.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import torch

PICKLED = (
    "it holds pickled Python objects other than tensors and plain values, which are never loaded, "
    "or is damaged; save the mel as one plain array"
)
# Integers beyond have the hash of a smaller one: as the keys of a dictionary they can take
# quadratic time.
_LARGEST_KEY = 2**61 - 2
# Bytes of a value in the typed storages that torch.save names.
_STORAGES = {
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ShortStorage": 2,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "IntStorage": 4,
    "FloatStorage": 4,
    "LongStorage": 8,
    "DoubleStorage": 8,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = ("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1", "SHORT_BINSTRING")
_MARK = object()


class _Type(NamedTuple):
    """Stands for a storage type or a dtype."""

    itemsize: int


class _Storage(NamedTuple):
    itemsize: int
    nbytes: int


class _Object:
    """Stands for a tensor, a list or another object that may be stored and nothing else."""


class _Dictionary:
    """Stands for a dictionary."""


def _refuse(*_: Any) -> NoReturn:
    raise ValueError(PICKLED)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Object:
    """Check that a tensor lies within its storage."""
    return _view(storage, offset, size, stride, storage.itemsize)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any
) -> _Object:
    """Check the same for an untyped storage, whose values have the size of `dtype`."""
    return _view(storage, offset, size, stride, dtype.itemsize if type(dtype) is _Type else 0)


def _view(storage: Any, offset: Any, size: Any, stride: Any, itemsize: int) -> _Object:
    if type(storage) is not _Storage or not (type(size) is type(stride) is tuple):
        _refuse()
    valid = all(type(number) is int and number >= 0 for number in (offset, *size, *stride))
    if not valid or len(size) != len(stride) or itemsize < 1:
        _refuse()
    last = sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and (offset + last + 1) * itemsize > storage.nbytes:
        _refuse()
    return _Object()


def _rebuild_parameter(data: Any, *_: Any) -> _Object:
    return data if type(data) is _Object else _refuse()


def _size(numbers: Any) -> tuple[int, ...]:
    plain = type(numbers) is tuple and all(type(number) is int for number in numbers)
    return numbers if plain else _refuse()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda: _Dictionary(),
    "torch Size": _size,
    "torch device": lambda *_: _Object(),
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v3": _rebuild_tensor_v3,
}


def _find_global(argument: str) -> Any:
    """Return what stands for a global, given as "module name"."""
    if argument in _FUNCTIONS:
        return _FUNCTIONS[argument]
    if argument == "torch.storage UntypedStorage":
        return _Type(1)
    module, _, name = argument.rpartition(" ")
    if module == "torch" and name in _STORAGES:
        return _Type(_STORAGES[name])
    if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
        return _Type(dtype.itemsize)
    return _refuse()


class _Walk:
    """A stack machine for the opcodes of `torch.save`, with stand-ins for all objects."""

    def __init__(self, storage_sizes: Mapping[str, int]) -> None:
        self._storage_sizes = storage_sizes
        self._found_sizes: dict[str, int] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> None:
        """Walk through a pickle; raise ValueError for anything but tensors and plain values."""
        argument: Any
        for code, argument, _ in pickletools.genops(content):
            name = code.name
            if name in _VALUES:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in ("BINPUT", "LONG_BINPUT"):
                self._memo[argument] = self._stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                self._stack.append(self._memo[argument])
            elif name == "GLOBAL":
                self._stack.append(_find_global(argument))
            elif name not in ("PROTO", "STOP"):
                # Opcodes that are not listed have no method: they are refused.
                getattr(self, f"_{name.lower()}", _refuse)()
        if len(self._stack) != 1:
            _refuse()

    def _items(self) -> list[Any]:
        """Pop the items above the last mark, and the mark."""
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _mark(self) -> None:
        self._stack.append(_MARK)

    def _tuple(self) -> None:
        self._stack.append(tuple(self._items()))

    def _tuple1(self) -> None:
        self._join(1)

    def _tuple2(self) -> None:
        self._join(2)

    def _tuple3(self) -> None:
        self._join(3)

    def _join(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _empty_list(self) -> None:
        self._stack.append(_Object())

    def _append(self) -> None:
        self._stack.pop()

    def _appends(self) -> None:
        self._items()

    def _empty_dict(self) -> None:
        self._stack.append(_Dictionary())

    def _setitem(self) -> None:
        key, _ = self._stack.pop(-2), self._stack.pop()
        self._check_key(key)

    def _setitems(self) -> None:
        items = self._items()
        if len(items) % 2:
            _refuse()
        for key in items[::2]:
            self._check_key(key)

    def _check_key(self, key: Any) -> None:
        """Accept keys that are hashed at once and differ in their hashes."""
        small = type(key) is int and abs(key) <= _LARGEST_KEY
        plain = isinstance(key, str | bytes | bool | float) or key is None
        if not (small or plain) or type(self._stack[-1]) is not _Dictionary:
            _refuse()

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(arguments) is not tuple or function not in _FUNCTIONS.values():
            _refuse()
        self._stack.append(function(*arguments))

    def _binpersid(self) -> None:
        kind, storage_type, key, _, n_items = self._stack.pop()
        if kind != "storage" or type(storage_type) is not _Type or type(n_items) is not int:
            _refuse()
        nbytes = n_items * storage_type.itemsize
        if not 0 <= nbytes <= self._storage_sizes[key]:
            _refuse()
        # torch takes the size from the first of several references to one storage.
        if self._found_sizes.setdefault(key, nbytes) != nbytes:
            _refuse()
        self._stack.append(_Storage(storage_type.itemsize, nbytes))


def check_pickle(content: bytes, storage_sizes: Mapping[str, int]) -> None:
    """Refuse a pickle that holds more than tensors and plain values.

    Args:
        content: The pickle.
        storage_sizes: Bytes of each storage in the archive, by its key.

    Raises:
        ValueError: If the pickle holds anything else, or is damaged.
    """
    try:
        _Walk(storage_sizes).run(content)
    except Exception:  # a damaged pickle fails in many ways
        raise ValueError(PICKLED) from None
