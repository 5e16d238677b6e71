"""Decorators for numerical context: full precision, autograd and inference mode.

Computations run in float32 or float64, outside autocast; half precisions are converted to float32
(`check_real`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from torchmelinv._utils.tracing import with_own_code
from torchmelinv.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run a public computation outside autocast.

    The half-precision products of autocast make iterations inaccurate. `torch.jit.trace` is
    refused: it would keep the lengths and decisions of its example.
    """

    @functools.wraps(function)
    def outside_autocast(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.jit.is_tracing():  # type: ignore[attr-defined]
            raise no_torchscript(function.__qualname__.removesuffix(".forward"))
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device_type = tensors[0].device.type if tensors else "cpu"
        # The meta device has no autocast; the function refuses its tensors. Where autocast is off,
        # a context would only cost time, most of all in `torch.export`, whose graph it divides.
        if device_type == "meta" or not torch.is_autocast_enabled(device_type):
            return function(*args, **kwargs)
        with torch.autocast(device_type=device_type, enabled=False):
            return function(*args, **kwargs)

    return with_own_code(outside_autocast, function)


def outside_inference_mode(function: Callable[P, R]) -> Callable[P, R]:
    """Build real tensors that all later calls can use, on the CPU unless they say where.

    Caches keep them, so they must not belong to the mode of one call: neither to inference mode or
    autograd, nor to fake tensors, tracing or a default device.
    """

    @functools.wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> R:
        cpu = torch.device("cpu")
        with torch.inference_mode(False), torch.no_grad(), _disable_current_modes(), cpu:
            return function(*args, **kwargs)

    return build


def backward_fp32(backward: Callable[..., R]) -> Callable[..., R]:
    """Run the backward of an autograd Function outside autocast.

    If grad is enabled inside it, double backward was requested.
    """

    @functools.wraps(backward)
    def outside_autocast(ctx: Any, *grads: Tensor) -> R:
        with torch.autocast(device_type=grads[0].device.type, enabled=False):
            return backward(ctx, *grads)

    return outside_autocast


def no_torchscript(name: str) -> InputError:
    """Return the error for `torch.jit`, which cannot represent these computations."""
    return InputError(
        f"{name} cannot be traced or scripted by torch.jit; use torch.export or torch.compile"
    )


def no_second_derivative() -> InputError:
    """Return the error for double backward through a Function that has none."""
    return InputError(
        "this inversion has no second derivative; call backward or grad without create_graph=True"
    )


def backward_fp32_once(backward: Callable[..., R]) -> Callable[..., R]:
    """Like `backward_fp32`, for a backward without a derivative: double backward is an error."""

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Tensor) -> R:
        if torch.is_grad_enabled():
            raise no_second_derivative()
        return backward_fp32(backward)(ctx, *grads)

    return once


def differentiable_vjp(
    function: Callable[..., Tensor], arguments: tuple[Tensor, ...], grad: Tensor
) -> tuple[Tensor | None, ...]:
    """Return a function's vector-Jacobian product, differentiable once more.

    Args:
        function: A differentiable function of the arguments.
        arguments: Its arguments.
        grad: Gradient with respect to the function's value.

    Returns:
        The gradient with respect to each argument; None for those that need none.
    """
    with torch.enable_grad():
        # Views, because one argument may be computed from another: only the function's own
        # dependence on each of them counts.
        arguments = tuple(argument.view_as(argument) for argument in arguments)
        inputs = [argument for argument in arguments if argument.requires_grad]
        grads = iter(
            torch.autograd.grad(
                function(*arguments), inputs, grad, create_graph=True, allow_unused=True
            )
        )
    return tuple(next(grads) if argument.requires_grad else None for argument in arguments)
