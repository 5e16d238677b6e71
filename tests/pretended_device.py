"""A pretended CUDA device, which counts what the host asks of it; runs without a GPU.

Tensors on it say that they are on `DEVICE`, and are computed on the CPU. An operation that mixes
them with tensors of the CPU raises, as it would on a device. A record counts the launches, one for
each operation that is neither a view nor an allocation, and the places where the host would wait
for the device: to read a value or the size of a result, and to copy in either direction.

Speed, memory, the capture of CUDA graphs and CUDA kernels are not pretended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

import torchmelinv
from torchmelinv._utils import precision
from torchmelinv.cuda import graphs

# No machine has as many devices: tables that caches keep are never taken for those of a device.
DEVICE = torch.device("cuda:99")
_PACKAGE = Path(torchmelinv.__file__).parent
# Allocations, and views that the schema does not declare as such.
_FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
# Reads the indices or the number of repetitions only for some arguments.
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


@dataclasses.dataclass
class Record:
    """What happened on the device while the record was open."""

    operations: Counter[str] = dataclasses.field(default_factory=Counter)  # launches of each
    waits: Counter[str] = dataclasses.field(default_factory=Counter)  # "operation, file:line"
    # Copies from the host, with or without a wait; no CUDA graph may have one from pageable memory.
    copies: Counter[str] = dataclasses.field(default_factory=Counter)  # "shape, file:line"

    @property
    def launches(self) -> int:
        """Number of operations that are neither views nor allocations."""
        return self.operations.total()


_records: list[Record] = []  # those that are open


@contextlib.contextmanager
def recording() -> Iterator[Record]:
    """Return a record of the operations until the context ends."""
    record = Record()
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)


def _caller() -> str:
    """Return file and line of the innermost call in this package, or of the outermost caller."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            return f"{path.relative_to(_PACKAGE).as_posix()}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside"


def _wait(operation: str) -> None:
    for record in _records:
        record.waits[f"{operation}, {_caller()}"] += 1


def _copy(shape: tuple[int, ...]) -> None:
    for record in _records:
        record.copies[f"{shape}, {_caller()}"] += 1


class DeviceTensor(Tensor):
    """A tensor that says it is on the pretended device.

    Autograd sees the meta device, which its engine treats as the CPU: for CUDA it needs a driver.
    """

    inner: Tensor
    device = DEVICE
    is_cuda = True
    is_meta = False
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> DeviceTensor:
        tensor = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="meta",
        )
        tensor.inner = inner
        return tensor

    def __repr__(self) -> str:
        return f"DeviceTensor({self.inner!r})"

    def tolist(self) -> Any:
        _wait("tolist")
        return self.inner.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError(f"a tensor on {DEVICE} has no NumPy array; use Tensor.cpu() first")
        _wait("numpy")
        return self.inner.numpy(force=True)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    """Sends operations without a tensor on the device to `_run`: creations and copies to it."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return _run(function, args, kwargs or {})


def _made_here(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return `torch.tensor` or `torch.as_tensor` for the device; both ask CUDA before any mode."""

    @functools.wraps(make)
    def made(data: Any, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        if device is None and not isinstance(data, Tensor):
            device = torch.empty(0).device  # the default one
        if device is None or not _is_here(device):
            return make(data, *args, device=device, **kwargs)
        if not isinstance(data, DeviceTensor):
            data = make(data, *args, device="cpu", **kwargs)
        return data.to(DEVICE)

    return made


@contextlib.contextmanager
def pretended_device() -> Iterator[torch.device]:
    """Return the device; tensors can be moved to it and made on it until the context ends."""
    torch._C._ensureCUDADeviceGuardSet()  # without a driver, "cuda" has no current device
    mode = _Dispatch()

    @contextlib.contextmanager
    def only_this_mode() -> Iterator[None]:
        with _disable_current_modes(), mode:
            yield

    autocast = torch.amp.autocast_mode.autocast.__init__

    def autocast_of_cpu(self, device_type, *args, **kwargs):
        autocast(self, "cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)

    replacements = (
        *((torch, name, _made_here(getattr(torch, name))) for name in ("tensor", "as_tensor")),
        (torch.cuda, "_lazy_init", lambda: None),
        (torch.cuda, "is_current_stream_capturing", lambda: False),
        (torch.amp.autocast_mode.autocast, "__init__", autocast_of_cpu),
        # Tables for caches are made outside of all modes; those on the device need this one.
        (precision, "_disable_current_modes", only_this_mode),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, replacement in replacements:
            stack.enter_context(mock.patch.object(owner, name, replacement))
        # Nothing captures graphs here; their users' tests pretend that differently.
        stack.enter_context(mock.patch.dict(os.environ, {graphs.ENVIRONMENT_VARIABLE: "0"}))
        stack.enter_context(mode)
        yield DEVICE


def _is_here(device: Any) -> bool:
    return torch.device(device).type in (DEVICE.type, "meta")


def _operation(function: Any) -> str:
    return function._schema.name.removeprefix("aten::")


def _waits(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], stays: bool) -> bool:
    """Return whether the host waits for values, for the size that they determine, or for a copy."""
    name = _operation(function)
    if name in ("_to_copy", "copy_"):
        both = isinstance(args[name == "copy_"], DeviceTensor), stays
        non_blocking = kwargs.get("non_blocking", len(args) > 2 and args[2])
        # Without `non_blocking` torch synchronizes after a copy to the device, too.
        if both == (False, True):
            _copy(tuple(args[name == "copy_"].shape))
        return both == (True, False) or (both == (False, True) and not non_blocking)
    if name in _INDEXING:
        indices = [each for each in args[1] if isinstance(each, Tensor)]
        masks = (torch.bool, torch.uint8)
        return any(each.dtype in masks or not isinstance(each, DeviceTensor) for each in indices)
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    tags = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return not tags.isdisjoint(function.tags)


def _refuse_other_devices(function: Any, leaves: list[Any], args: tuple[Any, ...]) -> None:
    """Raise for tensors of the CPU; numbers and indices may be there, and copies go anywhere."""
    name = _operation(function)
    if name == "copy_":
        return
    indices = [id(each) for each in args[1]] if name in _INDEXING else []
    for leaf in leaves:
        on_cpu = isinstance(leaf, Tensor) and not isinstance(leaf, DeviceTensor)
        if on_cpu and leaf.ndim and id(leaf) not in indices:
            raise RuntimeError(
                f"expected all tensors on {DEVICE}, but {name} got one on {leaf.device} of shape "
                f"{tuple(leaf.shape)}"
            )


def _run(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the CPU, and record it if it belongs to the device."""
    # In inference mode operations that consist of others arrive as a whole.
    whole = torch._C.DispatchKey.CompositeImplicitAutograd
    if torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), whole):
        with _Dispatch():
            return function._op_dk(whole, *args, **kwargs)
    name, leaves = _operation(function), tree_leaves((args, kwargs))
    inputs = [leaf for leaf in leaves if isinstance(leaf, DeviceTensor)]
    stays = bool(inputs)
    if kwargs.get("device") is not None:
        stays = _is_here(kwargs["device"])
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if name == "copy_":
        stays = isinstance(args[0], DeviceTensor)
    if inputs:
        if name == "_to_copy" and stays and kwargs.get("dtype") in (None, args[0].dtype):
            return DeviceTensor(args[0].inner)  # `to` a device where the tensor is already
        _refuse_other_devices(function, leaves, args)
    if (inputs or stays) and _waits(function, args, kwargs, stays):
        _wait(name)
    in_place_view = torch.Tag.inplace_view in function.tags
    free = function.is_view or in_place_view or name in _FREE
    if (inputs or stays) and not free:
        for record in _records:
            record.operations[name] += 1
    plain_args, plain_kwargs = tree_map_only(DeviceTensor, lambda each: each.inner, (args, kwargs))
    result = function(*plain_args, **plain_kwargs)
    if in_place_view and inputs:
        with no_dispatch():  # the shape of the tensor itself
            return function(*args, **kwargs)
    if not stays:
        return result
    # An operation in place returns its input; a view is an inference tensor if its input is.
    known = {id(each.inner): each for each in inputs}
    inference = torch.is_inference_mode_enabled()
    if function.is_view and inputs:
        inference = inputs[0].is_inference()
    with torch.inference_mode(inference):
        return tree_map_only(
            Tensor,
            lambda each: known[id(each)] if id(each) in known else DeviceTensor(each),
            result,
        )
