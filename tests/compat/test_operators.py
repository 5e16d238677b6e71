"""Operators: TorchScript's way to the functions, and tables that live as long as the buffer they were made from."""

from __future__ import annotations

import gc

import torch

from torchmelinv.compat import operators


def test_the_operator_is_the_function():
    specgram, window = torch.rand(2, 33, 6), torch.hann_window(64)
    arguments = (specgram, window, 64, 16, 2.0, 3, 0.99, None, False)
    assert torch.equal(torch.ops.torchmelinv.griffin_lim(*arguments), operators.griffin_lim(*arguments))
    melspec, fb = torch.rand(2, 5, 4), torch.rand(33, 5)
    assert torch.equal(torch.ops.torchmelinv.inverse_mel_scale(melspec, fb), operators.inverse_mel_scale(melspec, fb))


def test_a_power_is_a_power():
    magnitude, window = torch.rand(9, 6, dtype=torch.float64), torch.hann_window(16, dtype=torch.float64)
    found = [operators.griffin_lim(magnitude**power, window, 16, 4, power, 2, 0.9, None, False) for power in (1.0, 2.0, 3.0)]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


def test_tables_are_kept_and_forgotten():
    made = []

    def make(buffer):
        made.append(buffer.clone())
        return len(made)

    buffer = torch.ones(3)
    assert [operators._made_from(buffer, make) for _ in range(2)] == [1, 1]
    buffer.mul_(2)
    assert operators._made_from(buffer, make) == 2
    before = len(operators._made)
    del buffer
    gc.collect()
    assert len(operators._made) == before - 1
    with torch.inference_mode():
        assert operators._made_from(torch.ones(3), make) == 3
