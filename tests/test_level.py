"""Level: each operation in its order against plain formulas, and back exactly above the floor."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.conventions import Level
from torchmelinv.level import compress, expand, logarithmic

MEL = torch.rand(2, 8, 5, dtype=torch.float64) * 3 + 1e-3

LEVELS = [
    Level(),
    Level(floor=1e-5),
    Level(log="ln", floor=1e-5),
    Level(log="log10", floor=1e-10),
    Level(log="log10", floor=1e-10, multiplier=20, shift=-20),
    Level(log="ln", offset=1e-5, affine=(-4, 4)),
    Level(log="ln", floor=1e-5, affine=(-5.5, 2.1), band_mean=range(8), band_scale=[2.0] * 8),
    Level(log="log10", floor=1e-10, multiplier=20, affine=(-100, 100), clip=(0, 2)),
    Level(log="log10", floor=1e-10, dynamic_range=8.0, affine=(-4, 4)),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_expanding_undoes_compressing_above_the_floor(level, dtype, tolerance):
    mel = MEL.to(dtype)
    back = expand(compress(mel, level), level)
    assert ((back - mel).abs() / mel).max() <= tolerance


def test_each_operation_in_its_order():
    level = Level(log="log10", floor=1e-2, multiplier=20, shift=-3, dynamic_range=30, affine=(-10, 5), clip=(-2, 2))
    expected = 20 * MEL.clamp(min=1e-2).log10() - 3
    expected = torch.maximum(expected, expected.amax((-2, -1), keepdim=True) - 30)
    expected = ((expected + 10) / 5).clamp(-2, 2)
    torch.testing.assert_close(compress(MEL, level), expected)


def test_reference_is_each_items_peak():
    level = Level(log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80)
    values = compress(MEL * torch.tensor([1.0, 100.0])[:, None, None], level)
    torch.testing.assert_close(values.amax((-2, -1)), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(compress(100 * MEL, level), compress(MEL, level))
    torch.testing.assert_close(expand(values, level).amax((-2, -1)), torch.ones(2, dtype=torch.float64))


def test_peaks_are_taken_over_the_frames_that_count():
    level = Level(log="ln", floor=1e-10, dynamic_range=2)
    mel = MEL.clone()
    mel[..., 3:] = 1000
    mask = torch.arange(5) < 3
    torch.testing.assert_close(compress(mel, level, mask)[..., :3], compress(mel[..., :3], level))


def test_floor_stays_the_floor_and_linear_zero_is_zero():
    silence = torch.zeros(8, 3)
    floored = Level(log="ln", floor=1e-5)
    torch.testing.assert_close(expand(compress(silence, floored), floored), silence + 1e-5)
    assert (expand(compress(silence, Level()), Level()) == 0).all()
    offset = Level(log="ln", offset=1e-5)
    assert expand(compress(silence, offset), offset).max() < 1e-9
    assert (expand(torch.full((8, 3), -100.0), offset) == 0).all()


def test_affine_extrapolates_beyond_a_clip():
    level = Level(log="log10", floor=1e-5, multiplier=20, affine=(-100, 100), clip=(0, 1))
    torch.testing.assert_close(expand(torch.tensor([[1.1]]), level), torch.tensor([[10 ** (10 / 20)]]))


def test_gradient_is_zero_where_the_floor_acts():
    mel = torch.tensor([[0.0, 1e-6, 0.5]], requires_grad=True)
    compress(mel, Level(log="ln", floor=1e-5)).sum().backward()
    torch.testing.assert_close(mel.grad, torch.tensor([[0.0, 0.0, 2.0]]))


def slopes(function, values, level: Level) -> list[float]:
    leaf = torch.tensor(values, dtype=torch.float64).reshape(1, -1).requires_grad_()
    return torch.autograd.grad(function(leaf, level).sum(), leaf)[0].flatten().tolist()


@pytest.mark.parametrize(
    ("level", "mel", "cut"),
    [
        (Level(floor=1e-2), [0, 9e-3, 1.1e-2, 3], [True, True, False, False]),
        (Level(log="log10", floor=1e-2), [0, 9e-3, 1.1e-2, 3], [True, True, False, False]),
        (Level(log="ln", floor=1e-5, clip=(-2, 1)), [0, 0.1, 0.2, 2, 3], [True, True, False, False, True]),
        (Level(log="log10", floor=1e-5, dynamic_range=1), [1e-6, 0.05, 0.2, 1], [True, True, False, False]),
        (Level(log="ln", offset=1e-5), [0, 1e-6, 1], [False, False, False]),
    ],
)
def test_compressing_passes_no_gradient_below_the_floor_the_range_and_beyond_the_clip(level, mel, cut):
    assert [slope == 0 for slope in slopes(compress, mel, level)] == cut


def test_expanding_passes_one_everywhere_but_where_the_mel_is_zero():
    """The floor and the clip were `compress`'s: a prediction beyond them is led back by what it is."""
    level = Level(log="ln", floor=1e-2, clip=(-3, 1))
    values = [-9.0, -4.0, 0.5, 2.0]
    torch.testing.assert_close(slopes(expand, values, level), torch.tensor(values, dtype=torch.float64).exp().tolist())
    below, above = slopes(expand, [-3.0, -1.0], Level(log="ln", offset=math.exp(-2)))
    assert below == 0 < above
    assert slopes(expand, [-1.0, 0.0, 1.0], Level()) == [0, 0, 1]


@pytest.mark.parametrize("level", LEVELS)
def test_gradients_are_finite_differences(level):
    leaf = MEL.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda mel: compress(mel, level), leaf, atol=1e-6, rtol=1e-4, eps=1e-8, fast_mode=True)
    values = compress(MEL, level).requires_grad_()
    assert torch.autograd.gradcheck(lambda each: expand(each, level), values, atol=1e-6, rtol=1e-4, eps=1e-8, fast_mode=True)


def test_logarithm_without_its_dressing():
    level = Level(log="ln", floor=1e-5, multiplier=2, shift=1, affine=(3, 4))
    torch.testing.assert_close(logarithmic(compress(MEL, level), level), MEL.log())
    assert math.isclose(float(logarithmic(torch.zeros(1, 1), level)), 1.0)
