"""The fused step and its way back: the kernels, run on the host, against the reference in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.ops.one_step import layout_of, reference
from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import FramePlan, frame_plan, ragged_plan
from torchmelinv.ops import fused_cuda, nvrtc
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem

F64, CPU = torch.float64, torch.device("cpu")
# n_fft, hop, padding, frames, samples beyond those that the frames determine
SMALL = [
    (256, 16, "center_reflect", 9, 5), (256, 80, "center_zero", 6, -7), (256, 128, "none", 5, 300),
    (512, 64, "same_reflect", 8, 1), (1024, 256, "center_reflect", 5, 13),
]  # fmt: skip
LARGE = [
    (512, 160, "center_reflect", 5, 0), (1024, 512, "center_zero", 7, -600),
    (256, 256, "center_zero", 5, 1), (512, 128, "none", 7, 0), (1024, 64, "center_zero", 18, 7),
    (1024, 320, "same_reflect", 6, -1), (1024, 1024, "center_reflect", 3, 0), (2048, 512, "center_reflect", 6, 3),
    (2048, 128, "none", 9, -100), (2048, 640, "center_zero", 5, 1),
    (4096, 1024, "center_zero", 5, 9), (4096, 256, "center_reflect", 7, -9), (4096, 2048, "same_reflect", 5, 0),
]  # fmt: skip
CASES = pytest.mark.parametrize("case", [*SMALL, *(pytest.param(case, marks=pytest.mark.slow) for case in LARGE)], ids=str)
NUMBERS = (0.99, 1.1, 0.7)  # momentum, inertia, relaxation


def plan_of(case: tuple, **changes: object) -> FramePlan:
    n_fft, hop_length, padding, n_frames, more = case
    convention = FrameConvention(n_fft=n_fft, hop_length=hop_length, padding=padding, **changes)
    return frame_plan(convention, n_frames, convention.n_samples(n_frames) + more, F64, CPU)


def ragged(case: tuple) -> FramePlan:
    """Three items: one full, one shorter, and one whose single frame reaches over its mirrored samples again and again."""
    plan = plan_of(case)
    counts = torch.tensor([plan.n_frames, plan.n_frames // 2, 1])
    samples = torch.tensor([plan.n_samples, plan.n_samples // 2 - 3, 11])
    return ragged_plan(counts, samples, plan)


def problem(plan: FramePlan, items: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two signals, y of them, and a magnitude of the size of y's own, so that no angle's rounding error is magnified.

    Without it in one frame and some bins; the last item is silent, but its magnitude is not.
    """
    signal, previous = (torch.randn(items, plan.n_samples) for _ in range(2))
    if plan.ends is not None:
        outside = torch.arange(plan.n_samples) >= plan.ends[:, None]
        signal[outside], previous[outside] = 0, 0
    else:
        signal[-1], previous[-1] = 0, 0
    y = torch.lerp(previous.double(), signal.double(), 1 + NUMBERS[0])
    magnitude = plan.analyse(y).abs() * torch.rand(items, plan.n_frames, plan.convention.n_freqs)
    if plan.ends is None:
        magnitude[-1] = 1
    magnitude[0, 1], magnitude[:, :, 5:9] = 0, 0
    return plan.masked(magnitude).float(), signal, previous, y


def expected_step(plan: FramePlan, magnitude: Tensor, signal: Tensor, previous: Tensor | None, numbers) -> tuple[Tensor, Tensor]:
    return reference(plan, MagnitudeTarget(magnitude.double()), signal, previous, *numbers)


def expected_gradients(plan: FramePlan, magnitude: Tensor, y: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    y, values = y.clone().requires_grad_(), magnitude.double().requires_grad_()
    x = PhaseProblem(MagnitudeTarget(values), plan).project(y)
    return torch.autograd.grad(x, (y, values), grad.double())


def assert_near(found: Tensor, expected: Tensor, tolerance: float = 2e-6) -> None:
    """Within so much of the peak: a float32 transform has errors of some 1e-7."""
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, atol=tolerance * float(expected.abs().max()), rtol=0)


def assert_gradients_near(plan: FramePlan, y: Tensor, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """The gradient by a magnitude turns with the bin's angle, whose rounding error grows as the bin gets quiet."""
    modulus = plan.analyse(y).abs()
    assert_near(found[0], expected[0], 1e-5)
    difference = (found[1] - expected[1]) * modulus
    assert float(difference.abs().max()) <= 2e-6 * float((expected[1] * modulus).abs().max())


def by_seeds(host_kernels, function) -> tuple[Tensor, ...]:
    """What the function gives, bitwise the same in any order of threads."""
    results = []
    for host_kernels.seed in (0, 1):
        results.append(function())
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    return results[0]


def fixed_run(run: int):
    """In the place of the grid that fills a device: streams of `run` hops."""

    def streams(kernel, hops, items, device):
        n_fft = dict(kernel.defines)["N_FFT"]
        of_block = fused_cuda._block(n_fft) * 16 // n_fft
        return (items, math.ceil(hops / (run * of_block))), run

    return streams


@needs_compiler
@CASES
def test_a_step(host_kernels, case):
    plan = plan_of(case)
    magnitude, signal, previous, _ = problem(plan)
    layout = layout_of(plan)
    assert fused_cuda.why_not(layout) is None
    found = by_seeds(host_kernels, lambda: fused_cuda.step(layout, magnitude, signal, previous, *NUMBERS))
    expected = expected_step(plan, magnitude, signal, previous, NUMBERS)
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])
    assert (found[0][-1] == 0).all()  # silence has no angles
    assert (found[0][:, plan.inverse_envelope == 0] == 0).all()


@needs_compiler
@CASES
def test_the_way_back(host_kernels, case):
    plan = plan_of(case)
    magnitude, signal, previous, y = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)
    back = lambda: fused_cuda.project_vjp(layout, magnitude, signal, previous, NUMBERS[0], grad)  # noqa: E731
    found = by_seeds(host_kernels, back)
    assert_gradients_near(plan, y, found, expected_gradients(plan, magnitude, y, grad))
    assert (found[0][-1] == 0).all()
    assert (found[1][-1] == 0).all()


@needs_compiler
@pytest.mark.parametrize("case", [SMALL[0], SMALL[1], SMALL[4], pytest.param(LARGE[7], marks=pytest.mark.slow)], ids=str)
def test_items_that_differ_in_length(host_kernels, case):
    plan = ragged(case)
    magnitude, signal, previous, y = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)
    assert layout.ends is not None
    found = by_seeds(host_kernels, lambda: fused_cuda.step(layout, magnitude, signal, previous, *NUMBERS))
    expected = expected_step(plan, magnitude, signal, previous, NUMBERS)
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])
    back = fused_cuda.project_vjp(layout, magnitude, signal, previous, NUMBERS[0], grad)
    own = plan.counted.double()  # frames that do not exist get a gradient that nobody reads
    expected = expected_gradients(plan, magnitude, y, grad)
    assert_gradients_near(plan, y, (back[0], back[1] * own.float()), (expected[0], expected[1] * own))


@needs_compiler
@pytest.mark.parametrize("case", [SMALL[0], SMALL[4]], ids=str)
def test_neither_runs_nor_the_batch_change_a_bit(host_kernels, monkeypatch, case):
    plan = plan_of(case)
    magnitude, signal, previous, _ = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)

    def everything(items: slice) -> tuple[Tensor, ...]:
        given = (layout, magnitude[items], signal[items], previous[items])
        return (*fused_cuda.step(*given, *NUMBERS), *fused_cuda.project_vjp(*given, NUMBERS[0], grad[items]))

    whole = everything(slice(None))
    for run in (2, 4, 6, 64):
        monkeypatch.setattr(fused_cuda, "_streams", fixed_run(run))
        assert all(torch.equal(one, other) for one, other in zip(everything(slice(None)), whole, strict=True))
    assert all(torch.equal(one, other[1:2]) for one, other in zip(everything(slice(1, 2)), whole, strict=True))


@needs_compiler
def test_without_a_past_and_with_no_relaxation(host_kernels):
    plan = plan_of(SMALL[1], win_length=200)
    magnitude, signal, previous, _ = problem(plan)
    layout = layout_of(plan)
    magnitude = (plan.analyse(signal.double()).abs() * (magnitude != 0)).float()
    x, following = fused_cuda.step(layout, magnitude, signal, None, *NUMBERS)
    expected = expected_step(plan, magnitude, signal, None, NUMBERS)
    assert_near(x, expected[0])
    assert_near(following, expected[1])
    x, following = fused_cuda.step(layout, magnitude, signal, previous, 0, 0.5, 1.0)
    assert following is x
    assert_near(x, expected[0])


@needs_compiler
def test_a_gradient_may_be_of_any_size(host_kernels):
    plan = plan_of(SMALL[2])
    magnitude, signal, previous, _ = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)
    found, small = (fused_cuda.project_vjp(layout, magnitude, signal, previous, 0.5, grad * size) for size in (1, 2.0**-40))
    assert all(torch.equal(one, 2.0**40 * other) for one, other in zip(found, small, strict=True))


@pytest.mark.parametrize("items", [0, 1, 1000])
def test_streams_own_an_even_number_of_hops(items):
    (of_items, blocks), run = fused_cuda._streams(fused_cuda._step_kernel(1024, 256), 101, items, CPU)
    assert of_items == items
    assert run % 2 == 0
    assert (blocks - 1) * run < 101 <= blocks * run


@pytest.mark.parametrize("items", [1, 16, 64, 128, 256, 512, 1024, 5000])
def test_streams_fill_the_device_once_and_end_with_the_signal(items):
    kernel, hops = fused_cuda._step_kernel(1024, 256), 861
    (_, blocks), run = fused_cuda._streams(kernel, hops, items, CPU)
    assert items * blocks <= max(items, 132 * dict(kernel.defines)["MIN_BLOCKS"])
    assert run <= hops + 1


def test_what_it_cannot_serve():
    layout = layout_of(plan_of(SMALL[4]))
    assert "on cpu" in fused_cuda.why_not(layout)
    convention = FrameConvention(n_fft=400, hop_length=100)
    plan = frame_plan(convention, 5, 500, torch.float32, CPU)
    for changed, reason in [
        (plan.layout, "n_fft is 400"),
        (layout._replace(hop_length=300), "hop_length is 300"),
        (layout._replace(hop_length=2048), "hop_length is 2048"),
        (layout._replace(window=layout.window.double()), "float64"),
        (layout._replace(n_samples=2**30), "32-bit"),
    ]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nvrtc, "DEVICE", "cpu")
            assert reason in fused_cuda.why_not(changed)


SIZES = [(n_fft, n_fft // 16 * shift) for n_fft in fused_cuda.SIZES for shift in (1, 2, 4, 5, 8, 16)]


@needs_nvrtc
@pytest.mark.parametrize("size", [(1024, 256), *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES)], ids=str)
def test_they_compile_for_a_device_without_spills(size):
    for kernel in fused_cuda.kernels(*size):
        threads = dict(kernel.defines).get("MIN_BLOCKS", 4) * fused_cuda._block(size[0])
        assert registers_without_spills(kernel) * threads <= fused_cuda.REGISTERS
