"""How to compute: float32 and float64 as they come, half precisions in float32, outside autocast and outside compiled graphs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from torchmelinv.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of every public computation: it runs outside autocast, whose half-precision products would ruin iterations.

    Under `torch.compile` it runs as it is between two graphs: complex loops gain nothing from a compiler.
    `torch.compiler.disable` is only reached there, because it imports the compiler, which eager users should not wait for.
    """

    @functools.wraps(function)
    def outside_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            return torch.compiler.disable(outside_autocast)(*args, **kwargs)
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        kind = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device_type=kind, enabled=False):
            return function(*args, **kwargs)

    return outside_autocast


def as_real(tensor: Tensor, name: str) -> Tensor:
    """The tensor in float32 or float64; `InputError` for anything but real floating-point numbers."""
    if not isinstance(tensor, Tensor):
        raise InputError(f"{name} is a {type(tensor).__name__}; it must be a torch.Tensor (torch.as_tensor makes one)")
    if not tensor.is_floating_point():
        hint = "take its magnitude first" if tensor.is_complex() else "convert it with .float() if these are really its values"
        raise InputError(f"{name} has dtype {tensor.dtype}; it must be real floating point ({hint})")
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
