"""Signals and steps of checks and benchmarks."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.conventions.presets import preset
from torchmelinv.doctor.inputs import DEFAULT, FAST, method_step, step_inputs, waveforms

CPU = torch.device("cpu")


def test_items_differ_and_come_again():
    first, again = (waveforms(3, 4000, 22050, CPU, 1) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 4000)
    assert not torch.equal(first[0], 2 * first[1])
    assert not torch.equal(first, waveforms(3, 4000, 22050, CPU, 2))


@pytest.mark.parametrize("of_mel", [False, True])
def test_a_step_in_float64_is_the_step(of_mel):
    convention = preset("hifigan_22k")
    convention, method = (convention, DEFAULT) if of_mel else (convention.stft, FAST)
    inputs = step_inputs(convention, 22050, 2, 8, CPU, 0)
    step = method_step("reference", method)
    single, double = step(inputs), step(inputs.double(convention))
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    peak = float(double.abs().max())
    torch.testing.assert_close(single.double(), double, rtol=0, atol=5e-6 * peak)
