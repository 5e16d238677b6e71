"""What `torch.compile`, `torch.export` and fake tensors need to trace this package.

A trace takes tables from `GraphTable`, and computes in the graph whatever depends on the sizes of a
tensor, which may be symbols. Caches, in-place steps and loops that stop by values stay outside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from torchmelinv.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


def is_traced(tensor: Tensor) -> bool:
    """Return whether operations on the tensor are recorded or only have their shapes computed."""
    return torch.compiler.is_compiling() or isinstance(tensor, FakeTensor | FunctionalTensor)


def with_own_code(wrapper: F, function: Callable[..., Any]) -> F:
    """Return a function's wrapper with a code object of its own.

    `torch.compile` counts recompilations by code object, up to 8. Wrappers that a decorator makes
    would share one.
    """
    wrapper.__code__ = wrapper.__code__.replace(co_name=function.__name__)
    if sys.version_info >= (3, 11):
        wrapper.__code__ = wrapper.__code__.replace(co_qualname=function.__qualname__)
    return wrapper


def constant_in_graphs(function: F) -> F:
    """Call a function of constants while `torch.compile` traces, not in the graph.

    As `torch.compiler.assume_constant_result` does, which imports the compiler.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def transform_levels() -> list[Any]:
    """Return the kinds of the transforms of `torch.func` that are active, outermost first."""
    stack = torch._C._functorch.get_interpreter_stack()
    return [] if stack is None else [level.key() for level in stack]


def is_mapped(tensor: Tensor) -> bool:
    """Return whether the tensor stands for all items of a `vmap`, and so has no values."""
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        if torch._C._functorch.is_batchedtensor(tensor):
            return True
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return False


def passes_gradient(tensor: Tensor) -> bool:
    """Return whether a gradient with respect to the tensor may pass."""
    if tensor.requires_grad or torch.compiler.is_compiling():
        return tensor.requires_grad
    # Under `vmap`, a tensor does not say what lies beneath.
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = torch._C._functorch.get_unwrapped(tensor)
        if tensor.requires_grad:
            return True
    return False


def refuse_jvp(name: str) -> None:
    """Refuse forward-mode derivatives of a computation that has none."""
    jvp = torch._C._functorch.TransformType.Jvp
    if not torch.compiler.is_compiling() and jvp in transform_levels():
        raise InputError(
            f"torch.func.jvp of {name} is not supported: it has no forward-mode derivative; "
            "use torch.func.vjp or grad"
        )


def refuse_transforms(name: str, instead: str) -> None:
    """Refuse `torch.func` for a computation that it cannot look into."""
    if not torch.compiler.is_compiling() and transform_levels():
        raise InputError(f"torch.func transforms of {name} are not supported; {instead}")


def apply_function(function: type[torch.autograd.Function], *inputs: Any) -> Any:
    """Apply an autograd Function; only compute its values where no derivative can be asked for.

    ``Function.apply`` takes about as long as a step with a short signal.
    """
    if torch._C._are_functorch_transforms_active() or (
        torch.is_grad_enabled()
        and any(isinstance(each, Tensor) and each.requires_grad for each in inputs)
    ):
        return function.apply(*inputs)
    return function.forward(*inputs)
