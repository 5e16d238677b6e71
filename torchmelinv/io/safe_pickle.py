"""Read the pickle of a torch.save file: tensors, numpy arrays and plain values, without pickle.

The opcodes act on a stack of this module: no class or function of the pickle runs, and nothing but
checked keys is hashed. Each storage must fit its entry in the archive, each tensor must lie within
its storage, and each numpy array must have the bytes that its shape promises. A tensor becomes a
`StoredTensor`, which names its storage, so that only the chosen tensor is read from the archive.
"""

from __future__ import annotations

import dataclasses
import math
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

PICKLED = (
    "it holds pickled Python objects other than tensors, numpy arrays and plain values, which are "
    "never loaded, or is damaged; save the mel as one plain array"
)
# Integers beyond have the hash of a smaller one: as the keys of a dictionary they can take
# quadratic time.
_LARGEST_KEY = 2**61 - 2
# The typed storages that torch.save names.
_STORAGES = {
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "IntStorage": torch.int32,
    "FloatStorage": torch.float32,
    "LongStorage": torch.int64,
    "DoubleStorage": torch.float64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = ("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1", "SHORT_BINSTRING")
_NUMBERS = "biufc"  # kinds of the numpy arrays that are read
_MARK = object()


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A tensor of the archive, which lies within its storage."""

    key: str  # of the storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.size


class _Type(NamedTuple):
    """Stands for a storage type or a dtype; an untyped storage has that of bytes."""

    dtype: torch.dtype


class _Storage(NamedTuple):
    key: str
    dtype: torch.dtype
    nbytes: int


class _Object:
    """Stands for an object that may be stored and nothing else."""


class _NumpyType:
    """Stands for a numpy dtype while its parts are read."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype


class _NumpyArray:
    """Stands for a numpy array, whose values come with BUILD."""

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None


def numpy_array(value: Any) -> Any:
    """Return the numpy array that a value of `read_pickle` stands for, else the value."""
    return value.array if type(value) is _NumpyArray else value


def _refuse(*_: Any) -> NoReturn:
    raise ValueError(PICKLED)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StoredTensor:
    """Check that a tensor lies within its storage."""
    return _view(storage, offset, size, stride, getattr(storage, "dtype", None))


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    """Check the same for an untyped storage, whose values have the size of `dtype`."""
    return _view(storage, offset, size, stride, dtype.dtype if type(dtype) is _Type else None)


def _view(storage: Any, offset: Any, size: Any, stride: Any, dtype: Any) -> StoredTensor:
    if type(storage) is not _Storage or not (type(size) is type(stride) is tuple):
        _refuse()
    valid = all(type(number) is int and number >= 0 for number in (offset, *size, *stride))
    if not valid or len(size) != len(stride) or not isinstance(dtype, torch.dtype):
        _refuse()
    last = sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if 0 not in size and (offset + last + 1) * dtype.itemsize > storage.nbytes:
        _refuse()
    return StoredTensor(storage.key, dtype, offset, size, stride)


def _rebuild_parameter(data: Any, *_: Any) -> StoredTensor:
    return data if type(data) is StoredTensor else _refuse()


def _size(numbers: Any) -> tuple[int, ...]:
    plain = type(numbers) is tuple and all(type(number) is int for number in numbers)
    return numbers if plain else _refuse()


def _empty_dictionary() -> dict[Any, Any]:
    """Return a new dictionary. `dict` itself would take entries, whose keys nobody has checked."""
    return {}


def _encode(text: Any, encoding: Any) -> bytes:
    """Return bytes, which protocol 2 stores as text."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        _refuse()
    return text.encode("latin1")


def _numpy_type(name: Any, *_: Any) -> _NumpyType:
    """Return a dtype of numbers by its name, such as "f4"."""
    if type(name) is not str or len(name) > 8:
        _refuse()
    dtype = np.dtype(name)
    return _NumpyType(dtype) if dtype.kind in _NUMBERS and not dtype.subdtype else _refuse()


def _new_array(kind: Any, *_: Any) -> _NumpyArray:
    return _NumpyArray() if kind is _ndarray else _refuse()


def _ndarray(*_: Any) -> NoReturn:
    """Stand for the class, which is named and never called."""
    _refuse()


def _numpy_scalar(kind: Any, content: Any) -> Any:
    if type(kind) is not _NumpyType or type(content) is not bytes:
        _refuse()
    return np.frombuffer(content, kind.dtype, 1)[0].item()


def _fill_array(array: _NumpyArray, state: Any) -> None:
    """Give an array its values, from the state (version, shape, dtype, is_fortran, bytes)."""
    _, shape, kind, is_fortran, content = state
    valid = type(shape) is tuple and all(type(n) is int and n >= 0 for n in shape)
    if not valid or len(shape) > 32 or type(kind) is not _NumpyType or type(content) is not bytes:
        _refuse()
    if math.prod(shape) * kind.dtype.itemsize != len(content) or array.array is not None:
        _refuse()
    values = np.frombuffer(content, kind.dtype)
    array.array = values.reshape(shape, order="F" if is_fortran is True else "C")


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _empty_dictionary,
    "torch Size": _size,
    "torch device": lambda *_: _Object(),
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v3": _rebuild_tensor_v3,
    "_codecs encode": _encode,
    "__builtin__ bytes": lambda: b"",
    "numpy dtype": _numpy_type,
    "numpy ndarray": _ndarray,
    **{  # the module's name before numpy 2 and since
        f"numpy.{module}.multiarray {name}": function
        for module in ("core", "_core")
        for name, function in (("_reconstruct", _new_array), ("scalar", _numpy_scalar))
    },
}


def _find_global(argument: str) -> Any:
    """Return what stands for a global, given as "module name"."""
    if argument in _FUNCTIONS:
        return _FUNCTIONS[argument]
    if argument == "torch.storage UntypedStorage":
        return _Type(torch.uint8)
    module, _, name = argument.rpartition(" ")
    if module == "torch" and name in _STORAGES:
        return _Type(_STORAGES[name])
    if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
        return _Type(dtype)
    return _refuse()


class _Walk:
    """A stack machine for the opcodes of `torch.save`."""

    def __init__(self, storage_sizes: Mapping[str, int]) -> None:
        self._storage_sizes = storage_sizes
        self._found_sizes: dict[str, int] = {}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """Return the value of a pickle; raise for anything but tensors, arrays, plain values."""
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
        return self._stack[0]

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
        self._stack.append([])

    def _append(self) -> None:
        self._extend([self._stack.pop()])

    def _appends(self) -> None:
        self._extend(self._items())

    def _extend(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            _refuse()
        self._stack[-1].extend(items)

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _setitem(self) -> None:
        key, value = self._stack.pop(-2), self._stack.pop()
        self._check_key(key)
        self._stack[-1][key] = value

    def _setitems(self) -> None:
        items = self._items()
        if len(items) % 2:
            _refuse()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._check_key(key)
            self._stack[-1][key] = value

    def _build(self) -> None:
        """Fill an array, or set the byte order of a numpy dtype."""
        state = self._stack.pop()
        target = self._stack[-1]
        if type(state) is not tuple:
            _refuse()
        if type(target) is _NumpyArray:
            _fill_array(target, state)
        elif type(target) is _NumpyType and state[1] in ("<", ">", "|", "="):
            target.dtype = target.dtype.newbyteorder(state[1])
        else:
            _refuse()

    def _check_key(self, key: Any) -> None:
        """Accept keys that are hashed at once and differ in their hashes."""
        small = type(key) is int and abs(key) <= _LARGEST_KEY
        plain = isinstance(key, str | bytes | bool | float) or key is None
        if not (small or plain) or type(self._stack[-1]) is not dict:
            _refuse()

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(arguments) is not tuple or not any(
            function is each for each in _FUNCTIONS.values()
        ):
            _refuse()
        self._stack.append(function(*arguments))

    def _binpersid(self) -> None:
        kind, storage_type, key, _, n_items = self._stack.pop()
        if kind != "storage" or type(storage_type) is not _Type or type(n_items) is not int:
            _refuse()
        nbytes = n_items * storage_type.dtype.itemsize
        if not 0 <= nbytes <= self._storage_sizes[key]:
            _refuse()
        # torch takes the size from the first of several references to one storage.
        if self._found_sizes.setdefault(key, nbytes) != nbytes:
            _refuse()
        self._stack.append(_Storage(key, storage_type.dtype, nbytes))


def read_pickle(content: bytes, storage_sizes: Mapping[str, int]) -> Any:
    """Return what a pickle holds; refuse one that holds more than tensors, arrays, plain values.

    Args:
        content: The pickle.
        storage_sizes: Bytes of each storage in the archive, by its key.

    Returns:
        Dictionaries, lists, tuples and plain values, with `StoredTensor` and numpy arrays.

    Raises:
        ValueError: If the pickle holds anything else, or is damaged.
    """
    try:
        return _Walk(storage_sizes).run(content)
    except Exception:  # a damaged pickle fails in many ways
        raise ValueError(PICKLED) from None
