"""The fused step with a mel target, in emulation, against `MelTarget` in float64."""

from __future__ import annotations

import pytest
import torch

from tests.cuda.one_step import (
    assert_equal,
    assert_items_near,
    assert_near,
    by_seeds,
    layout_of,
    mel_problem,
    mel_update_of,
    plan_of,
    reference,
    select_item,
    target_of,
    to_device,
)
from tests.cuda.test_fused_cuda import EVERY_SIZE, FACTORS, fixed_run
from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from torchmelinv.conventions import MelConvention
from torchmelinv.cuda import fused_cuda, nvrtc, pairs_cuda, step_cuda
from torchmelinv.transforms.stft_plan import ragged_plan

MEL = MelConvention(sample_rate=16000, n_fft=256, hop_length=64, n_mels=20)
# convention, frames, damping
QUICK = {
    "256": (MEL, 6, 1.0),
    "256, another power": (
        MEL.replace(power=0.7, magnitude_offset=0.3, hop_length=32, f_max=5000.0, n_mels=37),
        5,
        0.6,
    ),
    "512, power": (
        MEL.replace(n_fft=512, hop_length=128, power=2, n_mels=64, padding="center_zero"),
        5,
        1.0,
    ),
    "1024, floor": (
        MEL.replace(n_fft=1024, hop_length=256, n_mels=80, magnitude_floor=0.5),
        4,
        1.0,
    ),
}
SLOW = {
    "256, one band": (
        MEL.replace(n_mels=1, power=2, hop_length=128, padding="same_reflect"),
        5,
        0.3,
    ),
    "256, many bands": (MEL.replace(n_mels=80, hop_length=256, padding="none"), 3, 1.0),
    "512, kaldi": (
        MEL.replace(n_fft=512, hop_length=160, n_mels=40, mel_scale="kaldi", f_min=100.0),
        5,
        0.5,
    ),
    "1024, power and floor": (
        MEL.replace(n_fft=1024, hop_length=512, power=2, magnitude_floor=0.5, f_max=6000.0),
        5,
        0.7,
    ),
    "1024, short hop": (MEL.replace(n_fft=1024, hop_length=64, n_mels=128), 18, 1.0),
    "2048": (MEL.replace(n_fft=2048, hop_length=512, n_mels=80), 5, 1.0),
    "2048, power": (
        MEL.replace(n_fft=2048, hop_length=640, n_mels=128, power=2, padding="center_zero"),
        5,
        1.0,
    ),
    "4096": (MEL.replace(n_fft=4096, hop_length=1024, n_mels=229, f_max=7000.0), 4, 1.0),
    "4096, another power": (
        MEL.replace(n_fft=4096, hop_length=2048, n_mels=64, power=1.5, padding="none"),
        3,
        0.8,
    ),
}
CASES = pytest.mark.parametrize(
    "case",
    [*QUICK.values(), *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW.values())],
    ids=[*QUICK, *SLOW],
)


def problem(case: tuple, inner_iter: int = 2):
    convention, n_frames, damping = case
    plan = plan_of(convention, n_frames)
    mel, signal, previous = mel_problem(convention, plan)
    target = target_of(convention, mel, inner_iter, damping)
    return plan, target, mel_update_of(target), signal, previous


@needs_compiler
@CASES
def test_a_step(host_kernels, case):
    plan, target, update, signal, previous = problem(case)
    layout = layout_of(plan)
    assert step_cuda.unsupported_reason(layout, update) is None
    for inner_iter in (1, 2, 4):
        inputs = layout, update._replace(inner_iter=inner_iter), signal, previous, *FACTORS
        step = lambda inputs=inputs: step_cuda.step(*inputs)  # noqa: E731
        results = by_seeds(host_kernels, step) if inner_iter == 2 else step()
        changed = target._replace(inner_iter=inner_iter)
        assert_items_near(results, reference(plan, changed, signal, previous, *FACTORS))
    assert set(host_kernels.launched) == {"fused_step"}


@pytest.mark.gpu
@pytest.mark.parametrize("case", [*QUICK.values(), *SLOW.values()], ids=[*QUICK, *SLOW])
def test_on_a_device(case):
    plan, target, update, signal, previous = problem(case)
    layout, update = to_device(layout_of(plan), "cuda"), to_device(update, "cuda")
    assert fused_cuda.unsupported_reason(layout, update) is None
    results = fused_cuda.step(layout, update, signal.cuda(), previous.cuda(), *FACTORS)
    results = tuple(each.cpu() for each in results)
    assert_items_near(results, reference(plan, target, signal, previous, *FACTORS))


@needs_compiler
def test_items_of_different_length(host_kernels):
    convention, n_frames, _ = QUICK["256"]
    plan = plan_of(convention, n_frames)
    samples = torch.tensor([plan.n_samples, plan.n_samples // 2 - 3, 11])
    plan = ragged_plan(torch.tensor([n_frames, n_frames // 2, 1]), samples, plan)
    mel, signal, previous = mel_problem(convention, plan)
    mel[-1] = 1
    for each in (signal, previous):
        each[torch.arange(plan.n_samples) >= samples[:, None]] = 0
    target = target_of(convention, mel * plan.frame_mask, 2, 1.0)
    inputs = layout_of(plan), mel_update_of(target), signal, previous, *FACTORS
    results = by_seeds(host_kernels, lambda: step_cuda.step(*inputs))
    assert_items_near(results, reference(plan, target, signal, previous, *FACTORS))
    assert set(host_kernels.launched) == {"fused_step"}


@needs_compiler
@pytest.mark.parametrize("case", [QUICK["256"], QUICK["1024, floor"]], ids=["256", "1024"])
def test_results_are_bitwise_independent_of_streams_and_batch(host_kernels, monkeypatch, case):
    plan, _, update, signal, previous = problem(case)
    layout = layout_of(plan)
    batch = fused_cuda.step(layout, update, signal, previous, *FACTORS)
    for run in (2, 4, 64):
        monkeypatch.setattr(fused_cuda, "_streams", fixed_run(run))
        assert_equal(fused_cuda.step(layout, update, signal, previous, *FACTORS), batch)
    item = slice(1, 2)
    inputs = layout, select_item(update, 1), signal[item], previous[item]
    assert_equal(fused_cuda.step(*inputs, *FACTORS), tuple(each[item] for each in batch))


@needs_compiler
@pytest.mark.parametrize(
    "case", [QUICK["256"], QUICK["256, another power"]], ids=["compiled powers", "others"]
)
def test_it_equals_the_step_for_any_size(host_kernels, case):
    """Without a previous signal, for bounded factors, and for filters that cover bin n_fft / 2."""
    plan, _, update, signal, _ = problem(case)
    layout = layout_of(plan)
    update = update._replace(
        largest_gain=1e9, weights=update.weights + 0.01, shares=update.shares + 0.1
    )
    for scale in (1.0, 1e-12):
        result, expected = (
            family.step(layout, update, scale * signal, None, 0, 0, 1)
            for family in (fused_cuda, pairs_cuda)
        )
        assert result[1] is result[0]
        assert_near(result[0], expected[0].double())


def test_a_mel_with_too_many_bands_is_unsupported(monkeypatch):
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    plan, _, update, _, _ = problem((MEL, 3, 1.0))
    assert fused_cuda.unsupported_reason(layout_of(plan), update) is None
    wide = update._replace(values=torch.zeros(3, 3, 9000))
    assert "9000 bands" in fused_cuda.unsupported_reason(layout_of(plan), wide)


@needs_nvrtc
@EVERY_SIZE
@pytest.mark.parametrize(
    ("power", "exponent"),
    [
        (1.0, 1.0),
        pytest.param(2.0, 0.5, marks=pytest.mark.slow),
        pytest.param(1.5, 0.4, marks=pytest.mark.slow),
    ],
)
def test_it_compiles_without_spills(size, power, exponent):
    registers_without_spills(fused_cuda._mel_update_kernel(*size, 80, power, exponent))
