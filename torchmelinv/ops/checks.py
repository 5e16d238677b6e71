"""What every public computation asks of its arguments: real numbers, rows and frames, lengths, whole numbers.

Nothing here looks at the values of a tensor that lies on an accelerator, so no check makes the host wait.
"""

from __future__ import annotations

import math
import numbers
from typing import Any, cast

import torch
from torch import Tensor

from torchmelinv.errors import InputError


def as_real(tensor: Tensor, name: str) -> Tensor:
    """The tensor in float32 or float64; `InputError` for anything but real floating-point numbers."""
    if not isinstance(tensor, Tensor):
        raise InputError(f"{name} is a {type(tensor).__name__}; it must be a torch.Tensor (torch.as_tensor makes one)")
    if not tensor.is_floating_point():
        hint = "take its magnitude first" if tensor.is_complex() else "convert it with .float() if these are really its values"
        raise InputError(f"{name} has dtype {tensor.dtype}; it must be real floating point ({hint})")
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        kind = "meta" if tensor.device.type == "meta" else str(tensor.layout)
        raise InputError(f"{name} is a {kind} tensor; it must hold its values densely")
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def as_rows(tensor: Tensor, name: str, rows: int) -> Tensor:
    """`as_real` of a tensor whose shape must be (…, rows, n_frames ≥ 1)."""
    tensor = as_real(tensor, name)
    if tensor.ndim < 2 or tensor.shape[-2] != rows or tensor.numel() == 0:
        hint = " (it looks transposed: frames first)" if tensor.ndim >= 2 and tensor.shape[-1] == rows else ""
        raise InputError(f"the {name} has shape {tuple(tensor.shape)}; it must be (…, {rows}, n_frames ≥ 1){hint}")
    return tensor


def as_lengths(lengths: Any, items: torch.Size, most: int, device: torch.device) -> Tensor:
    """Whole numbers from 1 to `most`, one for each item, as int64 on `device`.

    Values that lie on an accelerator are not looked at, but clamped, so that no later index can leave its range.
    """
    try:
        lengths = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"lengths is {type(lengths).__name__}; it must be whole numbers, a tensor or a list") from None
    if lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
        raise InputError(f"lengths has dtype {lengths.dtype}; it must hold whole numbers")
    if lengths.shape != items:
        raise InputError(f"lengths has shape {tuple(lengths.shape)}; it must be {tuple(items)}, one number an item")
    lengths = lengths.long()
    if lengths.device.type == "cpu" and lengths.numel() and not 1 <= int(lengths.min()) <= int(lengths.max()) <= most:
        raise InputError(f"lengths are {lengths.flatten().tolist()[:8]}; each must be from 1 to {most}")
    return lengths.clamp(1, max(1, most)).to(device)


def check_whole(name: str, value: Any, least: int | None = None) -> None:
    """Refuse what is no whole number (of at least `least`)."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or (least is not None and int(value) < least):
        bound = "" if least is None else f" of at least {least}"
        raise InputError(f"{name} is {value!r}; it must be a whole number{bound}")


def check_number(name: str, value: Any, least: float, most: float = math.inf, hint: str = "") -> None:
    """Refuse what is no finite number from `least` to `most`."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not least <= value <= most or value == math.inf:
        bound = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise InputError(f"{name} is {value!r}; it must be a number {bound}{hint and f' ({hint})'}")


def check_options(n_iter: Any, seed: Any, length: Any, tolerance: Any) -> None:
    """Refuse numbers that are none: n_iter ≥ 0, seed and length (≥ 1, or None) whole, tolerance above 0 or None."""
    check_whole("n_iter", n_iter, 0)
    check_whole("seed", seed)
    if length is not None:
        check_whole("length", length, 1)
    if tolerance is not None and not (isinstance(tolerance, numbers.Real) and cast(float, tolerance) > 0):
        raise InputError(f"tolerance is {tolerance!r}; it must be a number above 0, or None to do all iterations")
