"""The pull towards a mel in kernels, run on the host, against `MelTarget` in float64."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler
from tests.ops.one_step import (
    SHAPES,
    SMALL,
    assert_near,
    by_seeds,
    layout_of,
    mel_problem,
    plan_of,
    pull_of,
    ragged,
    reference,
    target_of,
)
from tests.problems import DEFICIENT, TINY
from torchmelinv.conventions import MelConvention
from torchmelinv.ops import pairs_cuda
from torchmelinv.ops.mel_pull import why_no_pull

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
@pytest.mark.parametrize(("sweeps", "agreement"), [(1, 1.0), (2, 0.5), (4, 0.3)])
@pytest.mark.parametrize("convention", BANKS.values(), ids=BANKS.keys())
def test_a_step_with_a_mel(host_kernels, convention, sweeps, agreement):
    plan = plan_of(convention, 3)
    mel, signal, previous = mel_problem(convention, plan)
    target, layout = target_of(convention, mel, sweeps, agreement), layout_of(plan)
    pull = pull_of(target)
    assert pairs_cuda.why_not(layout, pull) is None
    found = by_seeds(host_kernels, lambda: pairs_cuda.step(layout, pull, signal, previous, 0.99, 1.1, 0.7))
    expected = reference(plan, target, signal, previous, 0.99, 1.1, 0.7)
    for one, other in zip(found, expected, strict=True):
        for item in range(3):
            assert_near(one[item], other[item])


@needs_compiler
@pytest.mark.parametrize("n_fft", [1280, 1536, 1920, 2560, 3600])
def test_spectra_between_powers_of_two(host_kernels, n_fft):
    """Of which the lanes of a band in the fused kernel would be an odd number; `cosyvoice2` has 1920."""
    convention = MelConvention(sample_rate=24000, n_fft=n_fft, hop_length=n_fft // 4, n_mels=80)
    plan = plan_of(convention, 3)
    mel, signal, previous = mel_problem(convention, plan)
    target, layout = target_of(convention, mel, 2, 1.0), layout_of(plan)
    found = pairs_cuda.step(layout, pull_of(target), signal, previous, 0.99, 0.99, 1.1)
    for one, other in zip(found, reference(plan, target, signal, previous, 0.99, 0.99, 1.1), strict=True):
        for item in range(3):
            assert_near(one[item], other[item])


@needs_compiler
@pytest.mark.parametrize(("scale", "most", "expected"), [(1e-12, 1e9, 1e9), (1e-15, 1e13, 1e12)])  # two sweeps of 1e6
def test_a_mel_that_is_far_above_comes_up_by_a_bounded_factor(host_kernels, scale, most, expected):
    plan = plan_of(SMALL, 3)
    mel, signal, _ = mel_problem(SMALL, plan)
    target = target_of(SMALL, mel, 2, 1.0)
    pull = pull_of(target, most_ratio=1e6, most_gain=most)
    found, _ = pairs_cuda.step(layout_of(plan), pull, scale * signal, None, 0, 0, 1)
    gain = expected * mel.any(-1, keepdim=True).double().repeat(1, 1, SMALL.n_freqs)
    gain[..., -1], gain[..., 0] = 0, mel.any(-1)  # what no filter sees
    assert_near(found, plan.synthesise(plan.analyse(scale * signal.double()) * gain))


@needs_compiler
@pytest.mark.parametrize("shape", ["reflect", "odd"])
def test_a_mel_with_items_of_unlike_length(host_kernels, shape):
    plan, layout, counted = ragged(SHAPES[shape])
    frame = SHAPES[shape] | {"n_mels": 3}
    convention = MelConvention(sample_rate=8000, **frame)
    mel, signal, previous = mel_problem(convention, plan)
    mel[-1] = 1
    mel *= counted
    target = target_of(convention, mel, 2, 1.0)
    found = pairs_cuda.step(layout, pull_of(target), signal, previous, 0.99, 0, 1)[0]
    assert_near(found, reference(plan, target, signal, previous, 0.99, 0, 1)[0])
    one = slice(1, 2)
    layout = layout._replace(inverse_envelope=layout.inverse_envelope[one].clone(), ends=layout.ends[one].clone())
    pull = pull_of(target)
    pull = pull._replace(**{name: getattr(pull, name)[one].clone() for name in ("values", "offset", "floor")})
    assert torch.equal(pairs_cuda.step(layout, pull, signal[one], previous[one], 0.99, 0, 1)[0], found[one])


def test_filters_that_the_kernels_cannot_serve():
    follows = torch.zeros(2)
    assert why_no_pull(torch.tensor([[1.0, 1], [0, 1]]), follows) is None
    assert why_no_pull(torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([0.0, 1])) is None
    assert "more than two" in why_no_pull(torch.ones(3, 2), follows)
    assert "not neighbours" in why_no_pull(torch.tensor([[1.0], [0], [1]]), follows[:1])
    assert "not neighbours" in why_no_pull(torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([1.0, 0]))
