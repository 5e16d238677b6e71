"""Work of the neighbours of a pipeline, done in threads while the main one computes: loading before it, writing behind it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(function: Callable[[Given], Made], values: Iterable[Given], *, workers: int, most: int) -> Iterator[Made]:
    """`function(value)` of each value, in order, with at most `most` ≥ 2 of them begun or waiting to be taken.

    `values` is iterated in the caller's thread. What is done is handed on as long as another is on its way. An error of
    `function` is raised where its result would come. When the caller stops early, what has begun is finished and nothing else
    begins.
    """
    running: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for value in values:
                running.append(pool.submit(function, value))
                while len(running) >= most or (len(running) > 1 and running[0].done()):
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
