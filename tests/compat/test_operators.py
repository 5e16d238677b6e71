"""Operators of `torch.ops.torchmelinv`, and the tables that are cached while a buffer lives."""

from __future__ import annotations

import gc

import torch

from torchmelinv.compat import operators


def test_operators_equal_the_functions():
    specgram, window = torch.rand(2, 33, 6), torch.hann_window(64)
    arguments = (specgram, window, 64, 16, 2.0, 3, 0.99, None, False)
    assert torch.equal(
        torch.ops.torchmelinv.griffin_lim(*arguments), operators.griffin_lim(*arguments)
    )
    melspec, fb = torch.rand(2, 5, 4), torch.rand(33, 5)
    assert torch.equal(
        torch.ops.torchmelinv.inverse_mel_scale(melspec, fb),
        operators.inverse_mel_scale(melspec, fb),
    )


def test_result_does_not_depend_on_the_power():
    magnitude = torch.rand(9, 6, dtype=torch.float64)
    window = torch.hann_window(16, dtype=torch.float64)
    results = [
        operators.griffin_lim(magnitude**power, window, 16, 4, power, 2, 0.9, None, False)
        for power in (1.0, 2.0, 3.0)
    ]
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_tables_are_cached_and_released():
    made = []

    def make(buffer):
        made.append(buffer.clone())
        return len(made)

    buffer = torch.ones(3)
    assert [operators._cached(buffer, make) for _ in range(2)] == [1, 1]
    buffer.mul_(2)
    assert operators._cached(buffer, make) == 2
    gc.collect()
    before = len(operators._cache)
    del buffer
    gc.collect()
    assert len(operators._cache) == before - 1
    with torch.inference_mode():
        assert operators._cached(torch.ones(3), make) == 3
