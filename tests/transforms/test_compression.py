"""Compression: each step in order, and exact decompression above the floor."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.conventions import Compression
from torchmelinv.transforms.compression import compress, decompress, logarithmic

MEL = torch.rand(2, 8, 5, dtype=torch.float64) * 3 + 1e-3

LEVELS = [
    Compression(),
    Compression(floor=1e-5),
    Compression(log="ln", floor=1e-5),
    Compression(log="log10", floor=1e-10),
    Compression(log="log10", floor=1e-10, multiplier=20, shift=-20),
    Compression(log="ln", offset=1e-5, affine=(-4, 4)),
    Compression(log="ln", floor=1e-5, affine=(-5.5, 2.1), band_mean=range(8), band_scale=[2.0] * 8),
    Compression(log="log10", floor=1e-10, multiplier=20, affine=(-100, 100), clip=(0, 2)),
    Compression(log="log10", floor=1e-10, dynamic_range=8.0, affine=(-4, 4)),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
def test_decompress_undoes_compress_above_the_floor(level, dtype, tolerance):
    mel = MEL.to(dtype)
    result = decompress(compress(mel, level), level)
    assert ((result - mel).abs() / mel).max() <= tolerance


def test_steps_act_in_order():
    level = Compression(
        log="log10",
        floor=1e-2,
        multiplier=20,
        shift=-3,
        dynamic_range=30,
        affine=(-10, 5),
        clip=(-2, 2),
    )
    expected = 20 * MEL.clamp(min=1e-2).log10() - 3
    expected = torch.maximum(expected, expected.amax((-2, -1), keepdim=True) - 30)
    expected = ((expected + 10) / 5).clamp(-2, 2)
    torch.testing.assert_close(compress(MEL, level), expected)


def test_reference_is_the_peak_of_each_item():
    level = Compression(
        log="log10", floor=1e-10, multiplier=10, reference_max=True, dynamic_range=80
    )
    values = compress(MEL * torch.tensor([1.0, 100.0])[:, None, None], level)
    torch.testing.assert_close(values.amax((-2, -1)), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(compress(100 * MEL, level), compress(MEL, level))
    torch.testing.assert_close(
        decompress(values, level).amax((-2, -1)), torch.ones(2, dtype=torch.float64)
    )


def test_peaks_are_taken_over_the_items_own_frames():
    level = Compression(log="ln", floor=1e-10, dynamic_range=2)
    mel = MEL.clone()
    mel[..., 3:] = 1000
    mask = torch.arange(5) < 3
    torch.testing.assert_close(compress(mel, level, mask)[..., :3], compress(mel[..., :3], level))


@pytest.mark.parametrize("level", LEVELS)
def test_padding_decompresses_to_zero_and_overflows_no_gradient(level):
    mask = torch.arange(5) < 3
    values = torch.where(mask, compress(MEL, level), 1e6).requires_grad_()
    result = decompress(values, level, mask)
    torch.testing.assert_close(result[..., :3], decompress(values[..., :3], level))
    assert not result[..., 3:].any()
    (gradient,) = torch.autograd.grad(result.sum(), values)
    assert gradient.isfinite().all()


def test_floor_stays_and_linear_zero_is_zero():
    silence = torch.zeros(8, 3)
    floored = Compression(log="ln", floor=1e-5)
    torch.testing.assert_close(decompress(compress(silence, floored), floored), silence + 1e-5)
    assert (decompress(compress(silence, Compression()), Compression()) == 0).all()
    offset = Compression(log="ln", offset=1e-5)
    assert decompress(compress(silence, offset), offset).max() < 1e-9
    assert (decompress(torch.full((8, 3), -100.0), offset) == 0).all()


def test_values_beyond_a_clip_are_extrapolated():
    level = Compression(log="log10", floor=1e-5, multiplier=20, affine=(-100, 100), clip=(0, 1))
    torch.testing.assert_close(
        decompress(torch.tensor([[1.1]]), level), torch.tensor([[10 ** (10 / 20)]])
    )


def test_gradient_is_zero_where_the_floor_acts():
    mel = torch.tensor([[0.0, 1e-6, 0.5]], requires_grad=True)
    compress(mel, Compression(log="ln", floor=1e-5)).sum().backward()
    torch.testing.assert_close(mel.grad, torch.tensor([[0.0, 0.0, 2.0]]))


def slopes(function, values, level: Compression) -> list[float]:
    """The derivative of each output with respect to its input."""
    leaf = torch.tensor(values, dtype=torch.float64).reshape(1, -1).requires_grad_()
    return torch.autograd.grad(function(leaf, level).sum(), leaf)[0].flatten().tolist()


@pytest.mark.parametrize(
    ("level", "mel", "has_no_gradient"),
    [
        (Compression(floor=1e-2), [0, 9e-3, 1.1e-2, 3], [True, True, False, False]),
        (Compression(log="log10", floor=1e-2), [0, 9e-3, 1.1e-2, 3], [True, True, False, False]),
        (
            Compression(log="ln", floor=1e-5, clip=(-2, 1)),
            [0, 0.1, 0.2, 2, 3],
            [True, True, False, False, True],
        ),
        (
            Compression(log="log10", floor=1e-5, dynamic_range=1),
            [1e-6, 0.05, 0.2, 1],
            [True, True, False, False],
        ),
        (Compression(log="ln", offset=1e-5), [0, 1e-6, 1], [False, False, False]),
    ],
)
def test_compress_passes_no_gradient_where_floor_range_or_clip_act(level, mel, has_no_gradient):
    assert [slope == 0 for slope in slopes(compress, mel, level)] == has_no_gradient


def test_decompress_passes_a_gradient_except_where_the_mel_is_zero():
    """Floor and clip belong to `compress`: values beyond them keep their gradient."""
    level = Compression(log="ln", floor=1e-2, clip=(-3, 1))
    values = [-9.0, -4.0, 0.5, 2.0]
    torch.testing.assert_close(
        slopes(decompress, values, level), torch.tensor(values, dtype=torch.float64).exp().tolist()
    )
    below, above = slopes(decompress, [-3.0, -1.0], Compression(log="ln", offset=math.exp(-2)))
    assert below == 0 < above
    assert slopes(decompress, [-1.0, 0.0, 1.0], Compression()) == [0, 0, 1]


@pytest.mark.parametrize("level", LEVELS)
def test_gradients_equal_finite_differences(level):
    leaf = MEL.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda mel: compress(mel, level), leaf, atol=1e-6, rtol=1e-4, eps=1e-8, fast_mode=True
    )
    values = compress(MEL, level).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda leaf: decompress(leaf, level), values, atol=1e-6, rtol=1e-4, eps=1e-8, fast_mode=True
    )


def test_logarithmic_undoes_all_steps_after_the_logarithm():
    level = Compression(log="ln", floor=1e-5, multiplier=2, shift=1, affine=(3, 4))
    torch.testing.assert_close(logarithmic(compress(MEL, level), level), MEL.log())
    assert math.isclose(float(logarithmic(torch.zeros(1, 1), level)), 1.0)
