"""Errors for misspelled keyword arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from torchmelinv._utils.tracing import with_own_code
from torchmelinv.errors import InputError, nearest

P = ParamSpec("P")
R = TypeVar("R")


def unknown_option(owner: str, keyword: str, known: Sequence[str]) -> InputError:
    """Return the error for a keyword that is none of the known ones."""
    hint = nearest(keyword, known) or f"; it takes {', '.join(known)}"
    return InputError(f"{owner} has no option {keyword!r}{hint}")


def named_options(function: Callable[P, R]) -> Callable[P, R]:
    """Raise `InputError`, with the nearest name, for a keyword that the function does not have."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for keyword in kwargs:
            if keyword not in known:
                raise unknown_option(name, keyword, known)
        return function(*args, **kwargs)

    return with_own_code(checked, function)
