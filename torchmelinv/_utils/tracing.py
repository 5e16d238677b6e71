"""What `torch.compile`, `torch.export` and fake tensors need to trace this package.

Tables are made once and cached, outside every mode. A trace must not make them, nor keep a cache of
its own: `torch.compile` takes them as constants, and whatever depends on the sizes of a tensor,
which may be symbols, is computed in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

F = TypeVar("F", bound=Callable[..., Any])


def is_traced(tensor: Tensor) -> bool:
    """Return whether operations on the tensor are recorded or only have their shapes computed."""
    return torch.compiler.is_compiling() or type(tensor) not in (Tensor, nn.Parameter)


def constant_in_graphs(method: F) -> F:
    """Call a method while `torch.compile` traces, and make its tensor a constant of the graph.

    Its arguments must be constants, and tell one result from another: a graph is used again if they
    are the same. Elsewhere the method is called as usual.
    """
    # As `torch.compiler.assume_constant_result` does, which imports the compiler.
    method._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return method


def with_own_code(wrapper: F, function: Callable[..., Any]) -> F:
    """Return a function's wrapper with a code object of its own.

    `torch.compile` counts recompilations by code object, up to 8. Wrappers that a decorator makes
    would share one.
    """
    wrapper.__code__ = wrapper.__code__.replace(  # type: ignore[attr-defined]
        co_name=function.__name__, co_qualname=function.__qualname__
    )
    return wrapper
