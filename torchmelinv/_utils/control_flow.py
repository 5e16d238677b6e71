"""Whether control flow may depend on the values of tensors.

On the CPU it is fast to look at values: to stop when all frames have converged, to go on with those
that have not. Elsewhere each look makes the host wait for the device, and none is possible while
values do not exist yet: in `torch.compile`, `torch.export`, CUDA graph capture and `vmap`. A step
that decides by values has a second form with fixed numbers of steps and masks, which runs there.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import torch
from torch import Tensor, nn

_forbidden: contextvars.ContextVar[bool] = contextvars.ContextVar("forbidden", default=False)


def may_depend_on_values(tensor: Tensor) -> bool:
    """Return whether the host may decide by this tensor's values, or by values computed from it."""
    if torch.compiler.is_compiling():
        return False
    if tensor.device.type != "cpu" or type(tensor) not in (Tensor, nn.Parameter):
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    return not _forbidden.get()


@contextlib.contextmanager
def fixed_control_flow() -> Iterator[None]:
    """Take the forms with fixed control flow on the CPU too, as other devices do."""
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)
