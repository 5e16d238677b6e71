"""Caches for tables that are derived from an object or from values, per dtype and device."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from torchmelinv._utils.precision import outside_inference_mode

K = TypeVar("K")
T = TypeVar("T")
P = ParamSpec("P")


def cached_table(make: Callable[[K, torch.dtype, torch.device], T]) -> Callable[[K, Tensor], T]:
    """Cache ``make(owner, dtype, device)`` for as long as the owner lives.

    Call the decorated function with the owner and a tensor of the table's dtype and device. An
    entry dies with its owner, so the cache never outgrows the objects in use; the table must not
    refer to its owner. Threads share one table, even if two of them build it at the same time.
    """
    cache: weakref.WeakKeyDictionary[Any, dict[tuple[torch.dtype, torch.device], T]]
    cache = weakref.WeakKeyDictionary()
    build = outside_inference_mode(make)

    @functools.wraps(make)
    def table(owner: K, like: Tensor) -> T:
        entries = cache.setdefault(owner, {})
        key = (like.dtype, like.device)
        if key not in entries:
            entries.setdefault(key, build(owner, like.dtype, like.device))
        return entries[key]

    return table


def cached_by_value(maxsize: int) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Cache the tables of the last arguments; do not write to them.

    A traced graph computes its own table: sizes may be unknown there, and compilers fold constants.
    """

    def decorate(make: Callable[P, Tensor]) -> Callable[P, Tensor]:
        kept = functools.lru_cache(maxsize)(outside_inference_mode(make))

        @functools.wraps(make)
        def table(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            if torch.compiler.is_compiling():
                return make(*args, **kwargs)
            return kept(*args, **kwargs)  # type: ignore[arg-type]

        return table

    return decorate
