"""How to compute: float32 and float64 as they come, half precisions in float32, outside autocast and outside compiled graphs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

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


def lasting(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of what makes tables that outlive the call: a table made under inference mode could never serve autograd."""

    @functools.wraps(function)
    def outside_inference_mode(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), torch.no_grad():
            return function(*args, **kwargs)

    return outside_inference_mode


def any_order(backward: Callable[..., R]) -> Callable[..., R]:
    """Decorator of a hand-written backward: outside autocast. Where grad is enabled in it, a second derivative is asked for."""

    @functools.wraps(backward)
    def outside_autocast(ctx: Any, *grads: Tensor) -> R:
        with torch.autocast(device_type=grads[0].device.type, enabled=False):
            return backward(ctx, *grads)

    return outside_autocast


def no_second_derivative() -> InputError:
    """The error of what has none."""
    return InputError("this inversion has no second derivative; call backward or grad without create_graph=True")


def first_order(backward: Callable[..., R]) -> Callable[..., R]:
    """`any_order` of a backward that has no derivative, with an error where one is asked for."""

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Tensor) -> R:
        if torch.is_grad_enabled():
            raise no_second_derivative()
        return any_order(backward)(ctx, *grads)

    return once


def differentiated(function: Callable[..., Tensor], arguments: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients by the arguments from that by the function's value, as autograd has them: to be differentiated again."""
    with torch.enable_grad():
        # Views, because one argument may have been made of another: what leads from the one to the other is not the function's.
        arguments = tuple(argument.view_as(argument) for argument in arguments)
        asked = [argument for argument in arguments if argument.requires_grad]
        found = iter(torch.autograd.grad(function(*arguments), asked, grad, create_graph=True, allow_unused=True))
    return tuple(next(found) if argument.requires_grad else None for argument in arguments)
