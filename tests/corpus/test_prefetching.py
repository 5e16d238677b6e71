"""Work in threads around a pipeline: in order, bounded, never left half done."""

from __future__ import annotations

import threading
import time

import pytest

from torchmelinv.corpus.prefetching import prefetch


@pytest.mark.parametrize("max_pending", [2, 3, 100])
@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_order(workers, max_pending):
    def slow(value):
        time.sleep(0.002 * (value % 3))
        return value * value

    results = prefetch(slow, range(30), workers=workers, max_pending=max_pending)
    assert list(results) == [value * value for value in range(30)]
    assert list(prefetch(slow, [], workers=workers, max_pending=max_pending)) == []


def test_the_next_values_are_computed_meanwhile():
    started = [threading.Event() for _ in range(4)]
    results = prefetch(lambda value: started[value].set(), range(4), workers=1, max_pending=3)
    next(results)
    assert started[1].wait(5)


def test_no_more_values_are_taken_than_may_be_pending():
    taken = []

    def values():
        for value in range(20):
            taken.append(value)
            yield value

    results = prefetch(lambda value: value, values(), workers=2, max_pending=4)
    for done, _ in enumerate(results):
        assert len(taken) <= done + 4


def test_an_error_is_raised_in_place_of_its_result():
    def fragile(value):
        if value == 2:
            raise ValueError("two")
        return value

    results = prefetch(fragile, range(5), workers=2, max_pending=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_stopping_finishes_running_calls_and_starts_no_others():
    started, finished, proceed = [], [], threading.Event()

    def work(value):
        started.append(value)
        if value:
            proceed.wait(5)
        finished.append(value)

    results = prefetch(work, range(100), workers=2, max_pending=10)
    next(results)
    threading.Timer(0.05, proceed.set).start()
    results.close()
    assert started == finished
    assert len(started) < 10
