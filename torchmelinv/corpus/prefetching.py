"""Work in threads around a pipeline: load the next values, write the last results."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


def prefetch(
    function: Callable[[Value], Result], values: Iterable[Value], *, workers: int, max_pending: int
) -> Generator[Result, None, None]:
    """Map a function over values in threads, a few values ahead of the caller.

    The caller's thread iterates over `values`. An error of `function` is raised in place of its
    result. If the caller stops early, running calls finish and no further call starts.

    Args:
        function: Called once for each value.
        values: The values. The stream may be endless.
        workers: Number of threads.
        max_pending: Most values that are running or wait to be taken, at least 2.

    Yields:
        Results in the order of the values, each as soon as it is done and another one is running.
    """
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for value in values:
                context = contextvars.copy_context()  # for example the backend of the caller
                pending.append(pool.submit(context.run, function, value))
                while len(pending) >= max_pending or (len(pending) > 1 and pending[0].done()):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
