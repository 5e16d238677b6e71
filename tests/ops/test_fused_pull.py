"""The fused step with a pull towards a mel, run on the host, against `MelTarget` in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.ops.one_step import assert_near, by_seeds, layout_of, mel_problem, plan_of, pull_of, reference, target_of
from tests.ops.test_fused_cuda import fixed_run
from torchmelinv.conventions import MelConvention
from torchmelinv.frame import ragged_plan
from torchmelinv.ops import fused_cuda, nvrtc, pairs_cuda, step_cuda
from torchmelinv.ops.layout import MelPull

NUMBERS = (0.99, 1.1, 0.7)  # momentum, inertia, relaxation
MEL = MelConvention(sample_rate=16000, n_fft=256, hop_length=64, n_mels=20)
# a convention, frames, agreement
QUICK = {
    "256": (MEL, 6, 1.0),
    "256, another power": (MEL.replace(power=0.7, magnitude_offset=0.3, hop_length=32, f_max=5000.0, n_mels=37), 5, 0.6),
    "512, power": (MEL.replace(n_fft=512, hop_length=128, power=2, n_mels=64, padding="center_zero"), 5, 1.0),
    "1024, floor": (MEL.replace(n_fft=1024, hop_length=256, n_mels=80, magnitude_floor=0.5), 4, 1.0),
}
SLOW = {
    "256, one band": (MEL.replace(n_mels=1, power=2, hop_length=128, padding="same_reflect"), 5, 0.3),
    "256, many bands": (MEL.replace(n_mels=80, hop_length=256, padding="none"), 3, 1.0),
    "512, kaldi": (MEL.replace(n_fft=512, hop_length=160, n_mels=40, mel_scale="kaldi", f_min=100.0), 5, 0.5),
    "1024, power and floor": (MEL.replace(n_fft=1024, hop_length=512, power=2, magnitude_floor=0.5, f_max=6000.0), 5, 0.7),
    "1024, short hop": (MEL.replace(n_fft=1024, hop_length=64, n_mels=128), 18, 1.0),
    "2048": (MEL.replace(n_fft=2048, hop_length=512, n_mels=80), 5, 1.0),
    "2048, power": (MEL.replace(n_fft=2048, hop_length=640, n_mels=128, power=2, padding="center_zero"), 5, 1.0),
    "4096": (MEL.replace(n_fft=4096, hop_length=1024, n_mels=229, f_max=7000.0), 4, 1.0),
    "4096, another power": (MEL.replace(n_fft=4096, hop_length=2048, n_mels=64, power=1.5, padding="none"), 3, 0.8),
}
CASES = pytest.mark.parametrize(
    "case", [*QUICK.values(), *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW.values())], ids=[*QUICK, *SLOW]
)


def problem(case: tuple, sweeps: int = 2):
    convention, n_frames, agreement = case
    plan = plan_of(convention, n_frames)
    mel, signal, previous = mel_problem(convention, plan)
    target = target_of(convention, mel, sweeps, agreement)
    return plan, target, pull_of(target), signal, previous


def items_of(pull: MelPull, items: slice) -> MelPull:
    return pull._replace(**{name: getattr(pull, name)[items].clone() for name in ("values", "offset", "floor")})


def assert_items_near(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for one, other in zip(found, expected, strict=True):
        for item in range(len(one)):
            assert_near(one[item], other[item])


@needs_compiler
@CASES
def test_a_step(host_kernels, case):
    plan, target, pull, signal, previous = problem(case)
    layout = layout_of(plan)
    assert step_cuda.why_not(layout, pull) is None
    for sweeps in (1, 2, 4):
        changed = pull._replace(sweeps=sweeps)
        find = lambda pull=changed: step_cuda.step(layout, pull, signal, previous, *NUMBERS)  # noqa: E731
        found = by_seeds(host_kernels, find) if sweeps == 2 else find()
        assert_items_near(found, reference(plan, target._replace(sweeps=sweeps), signal, previous, *NUMBERS))
    assert set(host_kernels.launched) == {"fused_step"}


@pytest.mark.gpu
@pytest.mark.parametrize("case", [*QUICK.values(), *SLOW.values()], ids=[*QUICK, *SLOW])
def test_on_a_device(case):
    plan, target, pull, signal, previous = problem(case)
    layout, pull = (
        record._replace(**{name: each.cuda() for name, each in record._asdict().items() if isinstance(each, Tensor)})
        for record in (layout_of(plan), pull)
    )
    assert fused_cuda.why_not(layout, pull) is None
    found = fused_cuda.step(layout, pull, signal.cuda(), previous.cuda(), *NUMBERS)
    assert_items_near(tuple(each.cpu() for each in found), reference(plan, target, signal, previous, *NUMBERS))


@needs_compiler
def test_items_that_differ_in_length(host_kernels):
    convention, n_frames, _ = QUICK["256"]
    plan = plan_of(convention, n_frames)
    samples = torch.tensor([plan.n_samples, plan.n_samples // 2 - 3, 11])
    plan = ragged_plan(torch.tensor([n_frames, n_frames // 2, 1]), samples, plan)
    mel, signal, previous = mel_problem(convention, plan)
    mel[-1] = 1
    for each in (signal, previous):
        each[torch.arange(plan.n_samples) >= samples[:, None]] = 0
    target = target_of(convention, mel * plan.counted, 2, 1.0)
    layout = layout_of(plan)
    found = by_seeds(host_kernels, lambda: step_cuda.step(layout, pull_of(target), signal, previous, *NUMBERS))
    assert_items_near(found, reference(plan, target, signal, previous, *NUMBERS))
    assert set(host_kernels.launched) == {"fused_step"}


@needs_compiler
@pytest.mark.parametrize("case", [QUICK["256"], QUICK["1024, floor"]], ids=["256", "1024"])
def test_neither_runs_nor_the_batch_change_a_bit(host_kernels, monkeypatch, case):
    plan, _, pull, signal, previous = problem(case)
    layout = layout_of(plan)
    reference = fused_cuda.step(layout, pull, signal, previous, *NUMBERS)
    for run in (2, 4, 64):
        monkeypatch.setattr(fused_cuda, "_streams", fixed_run(run))
        found = fused_cuda.step(layout, pull, signal, previous, *NUMBERS)
        assert all(torch.equal(one, other) for one, other in zip(found, reference, strict=True))
    one = slice(1, 2)
    found = fused_cuda.step(layout, items_of(pull, one), signal[one], previous[one], *NUMBERS)
    assert all(torch.equal(each, other[one]) for each, other in zip(found, reference, strict=True))


@needs_compiler
@pytest.mark.parametrize("case", [QUICK["256"], QUICK["256, another power"]], ids=["known powers", "others"])
def test_it_is_the_step_of_any_size(host_kernels, case):
    """Without a past, of signals so quiet that factors reach their bounds, and of filters that see bin n_fft / 2 as well."""
    plan, _, pull, signal, _ = problem(case)
    layout = layout_of(plan)
    pull = pull._replace(most_gain=1e9, weights=pull.weights + 0.01, spread=pull.spread + 0.1)
    for scale in (1.0, 1e-12):
        found, expected = (by.step(layout, pull, scale * signal, None, 0, 0, 1) for by in (fused_cuda, pairs_cuda))
        assert found[1] is found[0]
        assert_near(found[0], expected[0].double())


def test_a_mel_that_is_too_wide_is_left_to_the_kernel_of_any_size(monkeypatch):
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    plan, _, pull, _, _ = problem((MEL, 3, 1.0))
    assert fused_cuda.why_not(layout_of(plan), pull) is None
    wide = pull._replace(values=torch.zeros(3, 3, 9000))
    assert "9000 bands" in fused_cuda.why_not(layout_of(plan), wide)


SIZES = [(n_fft, n_fft // 16 * shift) for n_fft in fused_cuda.SIZES for shift in (1, 2, 4, 5, 8, 16)]
KINDS = [(2.0, 0.5), (1.5, 0.4)]


@needs_nvrtc
@pytest.mark.parametrize("size", [(1024, 256), *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES)], ids=str)
@pytest.mark.parametrize(("power", "exponent"), [(1.0, 1.0), *(pytest.param(*kind, marks=pytest.mark.slow) for kind in KINDS)])
def test_it_compiles_for_a_device_without_spills(size, power, exponent):
    registers_without_spills(fused_cuda._pull_kernel(*size, 80, power, exponent))
