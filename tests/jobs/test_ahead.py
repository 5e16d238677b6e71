"""Work in threads around a pipeline: in order, bounded, and never half done."""

from __future__ import annotations

import threading
import time

import pytest

from torchmelinv.jobs.ahead import ahead


@pytest.mark.parametrize("most", [2, 3, 100])
@pytest.mark.parametrize("workers", [1, 4])
def test_results_come_in_order(workers, most):
    def slow(value):
        time.sleep(0.002 * (value % 3))
        return value * value

    assert list(ahead(slow, range(30), workers=workers, most=most)) == [value * value for value in range(30)]
    assert list(ahead(slow, [], workers=workers, most=most)) == []


def test_the_next_ones_are_done_meanwhile():
    begun = [threading.Event() for _ in range(4)]
    results = ahead(lambda value: begun[value].set(), range(4), workers=1, most=3)
    next(results)
    assert begun[1].wait(5)


def test_no_more_are_taken_than_may_wait():
    taken = []

    def values():
        for value in range(20):
            taken.append(value)
            yield value

    for done, _ in enumerate(ahead(lambda value: value, values(), workers=2, most=4)):
        assert len(taken) <= done + 4


def test_an_error_comes_where_its_result_would():
    def fragile(value):
        if value == 2:
            raise ValueError("two")
        return value

    results = ahead(fragile, range(5), workers=2, most=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_stopping_finishes_what_has_begun_and_begins_nothing_else():
    begun, ended, proceed = [], [], threading.Event()

    def work(value):
        begun.append(value)
        if value:
            proceed.wait(5)
        ended.append(value)

    results = ahead(work, range(100), workers=2, most=10)
    next(results)
    threading.Timer(0.05, proceed.set).start()
    results.close()
    assert begun == ended
    assert len(begun) < 10
