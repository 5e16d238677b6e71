"""Which of an operation's two forms runs: the reference in plain torch, or hand-written CUDA kernels.

The reference is the meaning: every device, every dtype. A kernel is the same function, faster, for float32 on CUDA devices; it
agrees to rounding and is tested against the reference. `auto` takes the reference until kernels were measured on a device: they
have run in emulation only. `cuda` asks for them, and says why where they cannot serve.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator

from torchmelinv.errors import InputError, nearest

BACKENDS = ("auto", "reference", "cuda")
AUTO = "reference"  # what `auto` stands for
VARIABLE = "TORCHMELINV_BACKEND"

_asked: contextvars.ContextVar[str | None] = contextvars.ContextVar("backend", default=None)


def _checked(name: object, where: str) -> str:
    if isinstance(name, str) and name in BACKENDS:
        return name
    hint = nearest(name, BACKENDS) if isinstance(name, str) else ""
    raise InputError(f"{where} is {name!r}; it must be one of {', '.join(map(repr, BACKENDS))}{hint}")


@contextlib.contextmanager
def backend(name: str) -> Iterator[None]:
    """`with backend("cuda"):` runs what has a kernel by it; `auto` and `reference` as said above.

    Without it the environment variable TORCHMELINV_BACKEND counts, and without that `auto`. Other threads do not see it, as those
    of DataParallel: there the variable serves. Gradients go back the way that their forward came. An operation that a kernel
    cannot serve raises InputError under `cuda` and falls back under `auto`.
    """
    token = _asked.set(_checked(name, "backend"))
    try:
        yield
    finally:
        _asked.reset(token)


def asked() -> str:
    """The name that was asked for."""
    return _asked.get() or _checked(os.environ.get(VARIABLE) or "auto", f"the environment variable {VARIABLE}")


def chosen() -> str:
    """`reference` or `cuda`, whichever `auto` stands for."""
    name = asked()
    return AUTO if name == "auto" else name


def by_kernel(operation: str, why_not: Callable[[], str | None]) -> bool:
    """Whether `operation` runs by its kernel; `why_not` says what keeps it from that, if anything does."""
    if chosen() == "reference":
        return False
    reason = why_not()
    if reason is not None and asked() == "cuda":
        who = "backend 'cuda'" if _asked.get() else f"{VARIABLE}=cuda"
        raise InputError(f"{who} cannot run {operation}: {reason}; or use backend 'auto' or 'reference'")
    return reason is None
