"""The spanning forest without a look at values: the same edges as where values are looked at."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.phase.sinusoids import CONVENTION, GLIDE, TIME, sinusoid, spectrum_of
from tests.phase.test_spanning_forest import assert_same_angles
from torchmelinv.phase import spanning_forest, spanning_forest_fixed
from torchmelinv.phase.pghi import phase_steps

F64 = torch.float64
SIGNALS = {
    "tone": sinusoid(10.3),
    "glide": GLIDE,
    "noise": torch.randn(2000, dtype=F64, generator=torch.Generator().manual_seed(0)),
    "clicks": (TIME.remainder(97) == 0).to(F64),
    "decay": sinusoid(20.5) * (-TIME / 300).exp(),
    "silence": torch.zeros(2000, dtype=F64),
}


def differences(*shape: int) -> tuple[Tensor, Tensor]:
    items, rows, columns = shape
    down = 9 * torch.randn(items, rows - 1, columns, dtype=F64)
    return down, 9 * torch.randn(items, rows, columns - 1, dtype=F64)


def assert_same_forest(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Every path gives other angles, so that equal angles mean equal edges."""
    result = spanning_forest_fixed.integrate_angles(weight, down, right)
    assert (result.shape, result.dtype) == (weight.shape, weight.dtype)
    assert_same_angles(result, spanning_forest.integrate_angles(weight, down, right))
    return result


@pytest.mark.parametrize("name", SIGNALS)
def test_the_forest_of_a_magnitude(name):
    weight = phase_steps(spectrum_of(SIGNALS[name]).abs(), CONVENTION)[0]
    assert_same_forest(weight, *differences(*weight.shape))


@pytest.mark.parametrize("shape", [(3, 40, 33), (2, 1, 50), (2, 50, 1), (1, 1, 1), (1, 300, 5)])
def test_random_equal_and_rising_weights_and_holes(shape):
    rising = torch.arange(1.0, 1 + shape[1] * shape[2], dtype=F64).reshape(1, *shape[1:])
    holes = torch.rand(shape, dtype=F64).clamp(min=0.01)
    for weight in (holes, torch.ones_like(holes), (rising / rising.max()).expand(shape)):
        assert_same_forest(weight, *differences(*shape))
    assert_same_forest(holes * (torch.rand(shape) < 0.6), *differences(*shape))


def test_each_item_is_as_alone_and_padding_changes_nothing():
    weight, (down, right) = torch.rand(3, 20, 17, dtype=F64), differences(3, 20, 17)
    result = assert_same_forest(weight, down, right)
    for item in range(3):
        inputs = (each[item : item + 1] for each in (weight, down, right))
        alone = spanning_forest_fixed.integrate_angles(*inputs)
        assert torch.equal(alone, result[item : item + 1])
    padded = (torch.cat([each, torch.zeros_like(each[:, :5])], 1) for each in (weight, down, right))
    longer = spanning_forest_fixed.integrate_angles(*padded)
    assert torch.equal(longer[:, :20], result)


def test_too_few_rounds_leave_parts_with_right_differences(monkeypatch):
    monkeypatch.setattr(spanning_forest_fixed, "_jumps", lambda *_: [1, 0])
    weight, angle = torch.rand(1, 30, 20, dtype=F64), 9 * torch.randn(1, 30, 20, dtype=F64)
    result = spanning_forest_fixed.integrate_angles(weight, angle.diff(dim=1), angle.diff(dim=2))
    error = torch.polar(torch.ones_like(angle), result - angle)
    parts = torch.view_as_real(error).round(decimals=6).reshape(-1, 2).unique(dim=0)
    assert 1 < len(parts) < weight.numel() / 2


def test_weights_are_rounded_as_where_bits_are_read():
    weights = torch.cat([torch.rand(5000) ** 9, 2.0 ** -torch.arange(0.0, 60)])
    weights = torch.cat([weights, weights.nextafter(torch.tensor(0.0))])
    ends = torch.stack([torch.arange(1, len(weights)), torch.arange(len(weights) - 1)], -1)
    low, high = weights[ends].amin(-1), weights[ends].amax(-1)
    expected = (low * low * high).view(torch.int32).long() >> 12
    key = spanning_forest_fixed._keys(weights[None], ends)[0, :, 0] >> 33
    offsets = (key - expected)[low * low * high >= torch.finfo(torch.float32).tiny]
    assert len(offsets.unique()) == 1
