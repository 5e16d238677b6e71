"""Operators for computations that compilers do not trace: values, shape, derivative and batches.

`torch.compile` would unroll an iteration, which takes minutes and gains nothing, and `torch.func`
cannot trace it. To both, an operator is one step. Its backward computes once more, with gradients,
so it stores nothing but the inputs; it has no second derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from torchmelinv._utils.batching import mapped_first
from torchmelinv._utils.precision import no_second_derivative
from torchmelinv._utils.tracing import is_traced
from torchmelinv.errors import InputError


def needs_operator(*tensors: Any) -> bool:
    """Return whether tensors need an operator; `torch.export` traces the single steps."""
    if torch.compiler.is_compiling():
        # Not `is_exporting`, which `torch.compile` takes for True.
        return torch.compiler.is_dynamo_compiling()
    return torch._C._are_functorch_transforms_active() or any(map(is_traced, tensors))


def _outside_autocast(like: Tensor) -> torch.autocast:
    """Return the context of a computation: a backward may run under autocast."""
    return torch.autocast(like.device.type, enabled=False)


def define_operator(
    name: str,
    arguments: str,
    compute: Callable[..., Tensor],
    shape_of: Callable[..., Sequence[int]],
    n_shared: int = 0,
) -> Callable[..., Tensor]:
    """Define `torch.ops.torchmelinv.<name>` and `<name>_backward`.

    Args:
        name: The operator's name.
        arguments: Schema of the arguments after the first one.
        compute: The computation: a tensor and these arguments to a tensor that is new. Gradients
            pass to the first tensor alone. The tensor requires a gradient in the backward.
        shape_of: The same arguments to the shape of the result, of the first tensor's dtype.
        n_shared: Number of arguments after the first one that are tensors without items.

    Returns:
        A function that calls the operator, also under transforms of `torch.func`.
    """
    forward_name, backward_name = f"torchmelinv::{name}", f"torchmelinv::{name}_backward"
    # Not by `custom_op`, which turns autograd off inside the backward.
    torch.library.define(forward_name, f"(Tensor input, {arguments}) -> Tensor")
    torch.library.define(backward_name, f"(Tensor grad, Tensor input, {arguments}) -> Tensor")

    def forward(*inputs: Any) -> Tensor:
        result: Tensor = getattr(torch.ops.torchmelinv, name)(*inputs)
        return result

    def backward(*inputs: Any) -> Tensor:
        result: Tensor = getattr(torch.ops.torchmelinv, f"{name}_backward")(*inputs)
        return result

    @torch.library.impl(forward_name, "CompositeExplicitAutograd")
    def _(first: Tensor, *others: Any) -> Tensor:
        with torch.no_grad(), _outside_autocast(first):
            return compute(first.detach(), *others)

    @torch.library.impl(backward_name, "CompositeExplicitAutograd")
    def _(grad: Tensor, first: Tensor, *others: Any) -> Tensor:
        with torch.enable_grad(), _outside_autocast(first):
            first = first.detach().requires_grad_()
            return torch.autograd.grad(compute(first, *others), first, grad)[0]

    @torch.library.register_fake(forward_name)
    def _(first: Tensor, *others: Any) -> Tensor:
        return first.new_empty(shape_of(first, *others))

    @torch.library.register_fake(backward_name)
    def _(grad: Tensor, first: Tensor, *others: Any) -> Tensor:
        return torch.empty_like(first)

    def mapped(size: int, in_dims: tuple[int | None, ...], inputs: Any, first: int) -> list[Any]:
        """Return inputs with the mapped dimension first, except those that all items share."""
        shared = slice(first, first + n_shared)
        if any(dim is not None for dim in in_dims[shared]):
            raise InputError(f"{name} takes one table for all items; vmap cannot map over it")
        result = mapped_first(size, in_dims, inputs)
        result[shared] = inputs[shared]
        return result

    @torch.library.register_vmap(forward_name)
    def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        return forward(*mapped(info.batch_size, in_dims, inputs, 1)), 0

    @torch.library.register_vmap(backward_name)
    def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        return backward(*mapped(info.batch_size, in_dims, inputs, 2)), 0

    def save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*(each for each in inputs if isinstance(each, Tensor)))
        ctx.others = [None if isinstance(each, Tensor) else (each,) for each in inputs]

    def saved_inputs(ctx: Any) -> list[Any]:
        tensors = iter(ctx.saved_tensors)
        return [next(tensors) if other is None else other[0] for other in ctx.others]

    def to_first(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs = saved_inputs(ctx)
        return backward(grad, *inputs), *[None] * (len(inputs) - 1)

    torch.library.register_autograd(forward_name, to_first, setup_context=save_inputs)

    # `torch.func` does not see a derivative that was registered.
    class Backward(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> Tensor:
            return backward(*inputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *grad: Tensor) -> NoReturn:
            raise no_second_derivative()

    class Forward(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> Tensor:
            return forward(*inputs)

        setup_context = staticmethod(save_inputs)

        @staticmethod
        def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
            inputs = saved_inputs(ctx)
            return Backward.apply(grad[0], *inputs), *[None] * (len(inputs) - 1)

    def call(*inputs: Any) -> Tensor:
        if torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active():
            return forward(*inputs)
        result: Tensor = Forward.apply(*inputs)
        return result

    return call
