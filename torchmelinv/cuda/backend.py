"""The choice between the two forms of an operation: plain torch, or hand-written CUDA kernels.

The form in plain torch is the reference: it is the specification, for every device and dtype. A
kernel computes the same function faster, for float32 on CUDA devices; it agrees to rounding and is
tested against the reference. `auto` runs a kernel only where `torchmelinv doctor` has found it
right and faster on this machine (`verdicts.py`). `cuda` requires the kernels, and raises an error
where they do not apply.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator
from typing import Literal

import torch

from torchmelinv._utils.tracing import transform_levels
from torchmelinv.cuda.verdicts import verified_operations
from torchmelinv.errors import InputError, nearest

__all__ = ["backend"]

BackendName = Literal["auto", "reference", "cuda"]
BACKENDS: tuple[BackendName, ...] = ("auto", "reference", "cuda")
ENVIRONMENT_VARIABLE = "TORCHMELINV_BACKEND"

_context: contextvars.ContextVar[BackendName | None] = contextvars.ContextVar(
    "backend", default=None
)


def _check_backend(name: object, source: str) -> BackendName:
    """Return the name of a backend; `source` names its origin in the error."""
    if isinstance(name, str) and name in BACKENDS:
        return name
    hint = nearest(name, BACKENDS) if isinstance(name, str) else ""
    allowed = ", ".join(map(repr, BACKENDS))
    raise InputError(f"{source} is {name!r}; it must be one of {allowed}{hint}")


@contextlib.contextmanager
def backend(name: BackendName) -> Iterator[None]:
    """Select the backend of all computations in a ``with`` block.

    Outside of any such block the environment variable ``TORCHMELINV_BACKEND`` selects the backend,
    and without it ``"auto"`` applies. The block applies to the current thread only; use the
    environment variable for other threads, such as those of `torch.nn.DataParallel`. The backward
    of an operation uses the backend of its forward.

    Args:
        name: ``"reference"`` runs plain torch. ``"cuda"`` runs the hand-written CUDA kernels, and
            raises an error for an operation that has kernels but cannot run them: they take float32
            tensors on a CUDA device. ``"auto"`` runs the kernels that ``torchmelinv doctor`` has
            found right and faster on this machine, and plain torch for everything else; without
            such a verdict, plain torch for all.

    Yields:
        Nothing.

    Raises:
        InputError: If there is no such backend, or if an operation cannot run its kernels.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.functional.waveform_to_mel(torch.randn(4096), "hifigan_22k")
        >>> with tmi.backend("reference"):
        ...     waveform = tmi.functional.mel_to_waveform(mel, "hifigan_22k", n_iter=1)
        >>> waveform.shape
        torch.Size([4096])
    """
    token = _context.set(_check_backend(name, "backend"))
    try:
        yield
    finally:
        _context.reset(token)


def requested_backend() -> BackendName:
    """Return the selected backend; it may be `auto`."""
    name = os.environ.get(ENVIRONMENT_VARIABLE) or "auto"
    return _context.get() or _check_backend(
        name, f"the environment variable {ENVIRONMENT_VARIABLE}"
    )


def runs_eagerly() -> bool:
    """Return whether operations run now: not traced, compiled or transformed by `torch.func`."""
    if torch.compiler.is_compiling() or torch.jit._trace.is_tracing():
        return False
    return not transform_levels()


def _verified() -> frozenset[str]:
    """Return the operations whose kernels `auto` runs."""
    return verified_operations() if runs_eagerly() else frozenset()


def may_use_kernels() -> bool:
    """Return whether any operation may run a kernel, for callers that must prepare its inputs."""
    name = requested_backend()
    return name == "cuda" or (name == "auto" and bool(_verified()))


def use_kernel(
    operation: str, unsupported_reason: Callable[[], str | None], kind: str | None = None
) -> bool:
    """Return whether an operation should run its kernel.

    Args:
        operation: Description of the operation for the error message.
        unsupported_reason: Returns why the kernel cannot run, or None; called only if needed.
        kind: The operation as verdicts name it; None for its description.

    Returns:
        True for the kernel, False for the reference.

    Raises:
        InputError: If backend `cuda` is requested and the kernel cannot run.
    """
    name = requested_backend()
    if name == "reference" or (name == "auto" and (kind or operation) not in _verified()):
        return False
    reason = unsupported_reason()
    if reason is not None and name == "cuda":
        source = "backend 'cuda'" if _context.get() else f"{ENVIRONMENT_VARIABLE}=cuda"
        raise InputError(
            f"{source} cannot run {operation}: {reason}; or use backend 'auto' or 'reference'"
        )
    return reason is None
