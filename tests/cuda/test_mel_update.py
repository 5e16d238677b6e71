"""Multiplicative updates toward a mel by kernels in emulation, against `MelTarget` in float64."""

from __future__ import annotations

import pytest
import torch

from tests.cuda.one_step import (
    SHAPES,
    SMALL,
    assert_items_near,
    assert_near,
    by_seeds,
    layout_of,
    mel_problem,
    mel_update_of,
    plan_of,
    ragged,
    reference,
    select_item,
    target_of,
)
from tests.host_cuda import needs_compiler
from tests.problems import DEFICIENT, TINY
from torchmelinv.conventions import MelConvention
from torchmelinv.cuda import pairs_cuda
from torchmelinv.cuda.mel_update import unsupported_filters

BANKS = {
    "magnitude": SMALL,
    "power": SMALL.replace(power=2, padding="center_zero"),
    "another power, offset": SMALL.replace(power=0.7, magnitude_offset=0.3),
    "floor": SMALL.replace(magnitude_floor=0.5),
    "power and floor": SMALL.replace(power=2, magnitude_floor=0.5),
    "free top": SMALL.replace(f_max=3000.0, padding="same_reflect"),
    "kaldi, none at DC": SMALL.replace(mel_scale="kaldi", f_min=100.0),
    "odd": SMALL.replace(n_fft=75, hop_length=31),
    "shared bins and empty bands": DEFICIENT,
    "one band": SMALL.replace(n_mels=1),
    "wider than a warp": TINY.replace(n_mels=3),
    "more bands than groups": TINY.replace(n_mels=40),
}


@needs_compiler
@pytest.mark.parametrize(("inner_iter", "damping"), [(1, 1.0), (2, 0.5), (4, 0.3)])
@pytest.mark.parametrize("convention", BANKS.values(), ids=BANKS.keys())
def test_a_step(host_kernels, convention, inner_iter, damping):
    plan = plan_of(convention, 3)
    mel, signal, previous = mel_problem(convention, plan)
    target, layout = target_of(convention, mel, inner_iter, damping), layout_of(plan)
    update = mel_update_of(target)
    assert pairs_cuda.unsupported_reason(layout, update) is None
    factors = 0.99, 1.1, 0.7
    step = lambda: pairs_cuda.step(layout, update, signal, previous, *factors)  # noqa: E731
    results = by_seeds(host_kernels, step)
    assert_items_near(results, reference(plan, target, signal, previous, *factors))


@needs_compiler
@pytest.mark.parametrize("n_fft", [1280, 1536, 1920, 2560, 3600])
def test_sizes_between_powers_of_two(host_kernels, n_fft):
    """The lanes of a band would be an odd number in the fused kernel; `cosyvoice2` has 1920."""
    convention = MelConvention(sample_rate=24000, n_fft=n_fft, hop_length=n_fft // 4, n_mels=80)
    plan = plan_of(convention, 3)
    mel, signal, previous = mel_problem(convention, plan)
    target, factors = target_of(convention, mel, 2, 1.0), (0.99, 0.99, 1.1)
    results = pairs_cuda.step(layout_of(plan), mel_update_of(target), signal, previous, *factors)
    assert_items_near(results, reference(plan, target, signal, previous, *factors))


@needs_compiler
@pytest.mark.parametrize(
    ("scale", "largest", "expected"),
    [(1e-12, 1e9, 1e9), (1e-15, 1e13, 1e12)],  # the second one: two ratios of 1e6
)
def test_the_gain_is_bounded(host_kernels, scale, largest, expected):
    plan = plan_of(SMALL, 3)
    mel, signal, _ = mel_problem(SMALL, plan)
    update = mel_update_of(target_of(SMALL, mel, 2, 1.0), largest_ratio=1e6, largest_gain=largest)
    x, _ = pairs_cuda.step(layout_of(plan), update, scale * signal, None, 0, 0, 1)
    gain = expected * mel.any(-1, keepdim=True).double().repeat(1, 1, SMALL.n_freqs)
    gain[..., 0] = mel.any(-1)  # no filter covers DC
    assert_near(x, plan.inverse(plan.forward(scale * signal.double()) * gain))


@needs_compiler
@pytest.mark.parametrize("shape", ["reflect", "odd"])
def test_items_of_different_length(host_kernels, shape):
    plan, layout, frame_mask = ragged(SHAPES[shape])
    convention = MelConvention(sample_rate=8000, n_mels=3, **SHAPES[shape])
    mel, signal, previous = mel_problem(convention, plan)
    mel[-1] = 1
    mel *= frame_mask
    target, factors = target_of(convention, mel, 2, 1.0), (0.99, 0, 1)
    x = pairs_cuda.step(layout, mel_update_of(target), signal, previous, *factors)[0]
    assert_near(x, reference(plan, target, signal, previous, *factors)[0])
    layout, update = select_item(layout, 1), select_item(mel_update_of(target), 1)
    alone = pairs_cuda.step(layout, update, signal[1:2], previous[1:2], *factors)[0]
    assert torch.equal(alone, x[1:2])


def test_unsupported_filters():
    free = torch.zeros(2)
    assert unsupported_filters(torch.tensor([[1.0, 1], [0, 1]]), free) is None
    assert unsupported_filters(torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([0.0, 1])) is None
    assert "more than two" in unsupported_filters(torch.ones(3, 2), free)
    assert "not neighbors" in unsupported_filters(torch.tensor([[1.0], [0], [1]]), free[:1])
    apart = torch.tensor([[1.0, 0], [0, 1]])
    assert "not neighbors" in unsupported_filters(apart, torch.tensor([1.0, 0]))
