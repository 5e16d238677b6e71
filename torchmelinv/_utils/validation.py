"""Checks of arguments: real tensors, shapes, lengths and numbers.

Only the checks of finite values read a tensor on an accelerator, so that the host waits for it.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from torchmelinv._utils.control_flow import may_depend_on_values
from torchmelinv._utils.tracing import is_mapped, is_traced
from torchmelinv.errors import InputError

# Samples of all items, or of each item of a batch
Length = int | Sequence[int] | Tensor

LARGEST_LENGTH = 2**32  # samples of a waveform: a day at 48 kHz


def check_real(tensor: Tensor, name: str) -> Tensor:
    """Return the tensor in float32 or float64.

    Args:
        tensor: Tensor of any shape.
        name: The argument's name, for errors.

    Returns:
        The tensor; half precisions are converted to float32.

    Raises:
        InputError: If it is not a dense tensor of real floating-point numbers.
    """
    if not isinstance(tensor, Tensor):
        raise InputError(
            f"{name} has type {type(tensor).__name__}; it must be a torch.Tensor "
            "(torch.as_tensor makes one)"
        )
    if not tensor.is_floating_point():
        hint = (
            "take its magnitude first"
            if tensor.is_complex()
            else "convert it with .float() if these are really its values"
        )
        raise InputError(
            f"{name} has dtype {tensor.dtype}; it must be real floating point ({hint})"
        )
    kind = None if tensor.layout == torch.strided else str(tensor.layout)
    if tensor.is_nested:
        kind = "nested"
    elif tensor.device.type == "meta":
        kind = "meta"
    if kind is not None:
        hint = "; pad its items and give lengths=..." if tensor.is_nested else ""
        raise InputError(f"{name} is a {kind} tensor; it must hold its values densely{hint}")
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def has_values(tensor: Tensor) -> bool:
    """Return whether values can be read: not in traced graphs, `vmap` and captured CUDA graphs."""
    capturing = tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    return not (capturing or is_traced(tensor) or is_mapped(tensor))


def is_finite(tensor: Tensor) -> bool:
    """Return whether all values are finite; waits for an accelerator."""
    return bool(torch.isfinite(tensor.detach()).all())


def check_finite(tensor: Tensor, name: str) -> None:
    """Raise `InputError` if values are NaN or infinite; waits for an accelerator."""
    if not is_finite(check_real(tensor, name)):
        raise InputError(f"{name} has NaN or infinite values; fix them")


def check_features(tensor: Tensor, name: str, n_features: int) -> Tensor:
    """Return the tensor like `check_real`, if its shape is (…, n_features, n_frames ≥ 1)."""
    tensor = check_real(tensor, name)
    if tensor.ndim < 2 or tensor.shape[-2] != n_features or tensor.numel() == 0:
        transposed = tensor.ndim >= 2 and tensor.shape[-1] == n_features
        hint = " (it looks transposed: frames first)" if transposed else ""
        raise InputError(
            f"the {name} has shape {tuple(tensor.shape)}; "
            f"it must be (…, {n_features}, n_frames ≥ 1){hint}"
        )
    return tensor


def check_lengths(
    lengths: Any, items: torch.Size, most: int, device: torch.device, name: str = "lengths"
) -> Tensor:
    """Return the lengths of the items of a padded batch.

    Args:
        lengths: Integers from 1 to `most`, one per item: a tensor, an array or a list.
        items: Shape of the batch.
        most: Length of the padded batch.
        device: Device of the result.
        name: The argument's name, for errors.

    Returns:
        The lengths as int64, (*items), without waiting for a CUDA device. On an accelerator values
        are not checked but clamped, so that no later index leaves its range; so are those in a
        traced graph.

    Raises:
        InputError: If they are not integers, have another shape, or leave the range.
    """
    lengths = as_tensor(lengths, name)
    if lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
        raise InputError(f"{name} has dtype {lengths.dtype}; it must hold integers")
    if lengths.shape != items:
        raise InputError(
            f"{name} has shape {tuple(lengths.shape)}; "
            f"it must be {tuple(items)}, one number per item"
        )
    lengths = lengths.long()
    readable = may_depend_on_values(lengths) and lengths.numel() > 0
    if readable and not 1 <= int(lengths.min()) <= int(lengths.max()) <= most:
        shown = lengths.flatten().tolist()[:8]
        raise InputError(f"{name} has the values {shown}; each must be from 1 to {most}")
    to_cuda = lengths.device.type == "cpu" and device.type == "cuda"
    return lengths.clamp(1, max(1, most)).to(device, non_blocking=to_cuda)


def as_tensor(lengths: Any, name: str = "lengths") -> Tensor:
    """Return lengths as a tensor."""
    try:
        return torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"{name} has type {type(lengths).__name__}; it must be integers, a tensor or a list"
        ) from None


def as_length(length: Length | None, items: torch.Size) -> int | Tensor | None:
    """Return the requested number of samples: one number, or int64 on the CPU, (*items).

    Waits for an accelerator that holds the numbers of items.
    """
    if is_of_items(length):
        numbers = length.cpu() if isinstance(length, Tensor) else length
        return check_lengths(numbers, items, LARGEST_LENGTH, torch.device("cpu"), "length")
    if length is not None:
        check_length(length)
    return cast("int | None", length)


def is_of_items(length: Any) -> bool:
    """Return whether a length is not one number, but those of items."""
    return hasattr(length, "__len__") and not isinstance(length, str | bytes)


def check_whole(name: str, value: Any, least: int | None = None) -> None:
    """Raise `InputError` unless the value is an integer ≥ `least`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or (least is not None and int(value) < least):
        bound = "" if least is None else f" ≥ {least}"
        raise InputError(f"{name} is {value!r}; it must be an integer{bound}")


def check_number(
    name: str, value: Any, least: float, most: float = math.inf, hint: str = ""
) -> None:
    """Raise `InputError` unless the value is a finite number from `least` to `most`."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not least <= value <= most or value == math.inf:
        bound = f"≥ {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        note = f" ({hint})" if hint else ""
        raise InputError(f"{name} is {value!r}; it must be a number {bound}{note}")


def check_length(length: Any) -> None:
    """Raise `InputError` unless a number of samples is possible."""
    check_whole("length", length, 1)
    if int(length) > LARGEST_LENGTH:
        raise InputError(
            f"length is {length!r}; a waveform has at most {LARGEST_LENGTH} samples: give samples, "
            "not seconds or bytes"
        )


def check_options(n_iter: Any, seed: Any, length: Any, tolerance: Any) -> None:
    """Raise `InputError` unless these options of an inversion are valid.

    Args:
        n_iter: Integer ≥ 0.
        seed: Integer.
        length: Integer from 1 to 2³², or None. Numbers of items are left to `as_length`.
        tolerance: Number > 0, or None.

    Raises:
        InputError: If an option is not valid; the message names it.
    """
    check_whole("n_iter", n_iter, 0)
    check_whole("seed", seed)
    if length is not None and not is_of_items(length):
        check_length(length)
    if tolerance is not None and not (
        isinstance(tolerance, numbers.Real) and cast(float, tolerance) > 0
    ):
        raise InputError(
            f"tolerance is {tolerance!r}; it must be a number above 0, or None to do all iterations"
        )


def check_flag(name: str, value: object) -> bool:
    """Return an option that is on or off; refuse anything else."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {value!r}; it must be True or False")
    return value


def check_channels(features: Tensor) -> None:
    """Refuse features (…, features, n_frames) without a dimension of channels before them."""
    if features.ndim < 3:
        shape = tuple(features.shape)
        raise InputError(
            f"channels is True, and the input has shape {shape}, without a dimension of channels; "
            "it must be (…, channels, features, n_frames)"
        )
