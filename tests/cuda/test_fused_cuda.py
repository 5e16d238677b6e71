"""The fused step and its backward: the kernels in emulation, against the reference in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.cuda.one_step import F64, assert_equal, by_seeds, layout_of, reference
from tests.cuda.one_step import assert_near as assert_near_peak
from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from torchmelinv.conventions import STFTConvention
from torchmelinv.cuda import fused_cuda, nvrtc
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.transforms.stft_plan import STFTPlan, ragged_plan, stft_plan

CPU = torch.device("cpu")
# n_fft, hop_length, padding, frames, samples in addition to those that the frames determine
SMALL = [
    (256, 16, "center_reflect", 9, 5),
    (256, 80, "center_zero", 6, -7),
    (256, 128, "none", 5, 300),
    (512, 64, "same_reflect", 8, 1),
    (1024, 256, "center_reflect", 5, 13),
]
LARGE = [
    (512, 160, "center_reflect", 5, 0),
    (1024, 512, "center_zero", 7, -600),
    (256, 256, "center_zero", 5, 1),
    (512, 128, "none", 7, 0),
    (1024, 64, "center_zero", 18, 7),
    (1024, 320, "same_reflect", 6, -1),
    (1024, 1024, "center_reflect", 3, 0),
    (2048, 512, "center_reflect", 6, 3),
    (2048, 128, "none", 9, -100),
    (2048, 640, "center_zero", 5, 1),
    (4096, 1024, "center_zero", 5, 9),
    (4096, 256, "center_reflect", 7, -9),
    (4096, 2048, "same_reflect", 5, 0),
]
CASES = pytest.mark.parametrize(
    "case", [*SMALL, *(pytest.param(case, marks=pytest.mark.slow) for case in LARGE)], ids=str
)
FACTORS = (0.99, 1.1, 0.7)  # alpha, beta, gamma


def plan_of(case: tuple, **changes: object) -> STFTPlan:
    n_fft, hop_length, padding, n_frames, extra = case
    convention = STFTConvention(n_fft=n_fft, hop_length=hop_length, padding=padding, **changes)
    return stft_plan(convention, n_frames, convention.n_samples(n_frames) + extra, F64, CPU)


def ragged(case: tuple) -> STFTPlan:
    """Return the plan of three items; the last one is shorter than its mirrored padding."""
    plan = plan_of(case)
    counts = torch.tensor([plan.n_frames, plan.n_frames // 2, 1])
    samples = torch.tensor([plan.n_samples, plan.n_samples // 2 - 3, 11])
    return ragged_plan(counts, samples, plan)


def problem(plan: STFTPlan, items: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a magnitude, two signals, and their y.

    The magnitude has the scale of y, so that no rounding error of an angle is amplified. It is 0 in
    one frame and some bins. The last item is silent, but its magnitude is not.
    """
    signal, previous = (torch.randn(items, plan.n_samples) for _ in range(2))
    if plan.n_valid is not None:
        outside = torch.arange(plan.n_samples) >= plan.n_valid[:, None]
        signal[outside], previous[outside] = 0, 0
    else:
        signal[-1], previous[-1] = 0, 0
    y = torch.lerp(previous.double(), signal.double(), 1 + FACTORS[0])
    magnitude = plan.forward(y).abs() * torch.rand(items, plan.n_frames, plan.convention.n_freqs)
    if plan.n_valid is None:
        magnitude[-1] = 1
    magnitude[0, 1], magnitude[:, :, 5:9] = 0, 0
    return plan.masked(magnitude).float(), signal, previous, y


def expected_step(
    plan: STFTPlan, magnitude: Tensor, signal: Tensor, previous: Tensor | None
) -> tuple[Tensor, Tensor]:
    return reference(plan, MagnitudeTarget(magnitude.double()), signal, previous, *FACTORS)


def expected_gradients(
    plan: STFTPlan, magnitude: Tensor, y: Tensor, grad: Tensor
) -> tuple[Tensor, ...]:
    y, values = y.clone().requires_grad_(), magnitude.double().requires_grad_()
    x = PhaseProblem(MagnitudeTarget(values), plan).consistent_projection(y)
    return torch.autograd.grad(x, (y, values), grad.double())


def assert_near(result: Tensor, expected: Tensor, tolerance: float = 2e-6) -> None:
    """Compare relative to the peak: a float32 transform has errors of about 1e-7."""
    assert result.shape == expected.shape
    assert_near_peak(result, expected, tolerance)


def assert_gradients_near(
    plan: STFTPlan, y: Tensor, results: tuple[Tensor, ...], expected: tuple[Tensor, ...]
) -> None:
    """Compare gradients of y and of the magnitude.

    The latter turns with the angle of the bin, whose rounding error grows as the bin gets quiet.
    """
    modulus = plan.forward(y).abs()
    assert_near(results[0], expected[0], 1e-5)
    difference = (results[1] - expected[1]) * modulus
    assert float(difference.abs().max()) <= 2e-6 * float((expected[1] * modulus).abs().max())


def fixed_run(run: int):
    """Replace the grid that fills a device by streams of `run` hops."""

    def streams(kernel, hops, items, device):
        n_fft = dict(kernel.defines)["N_FFT"]
        streams_per_block = fused_cuda._block(n_fft) * 16 // n_fft
        return (items, math.ceil(hops / (run * streams_per_block))), run

    return streams


@needs_compiler
@CASES
def test_a_step(host_kernels, case):
    plan = plan_of(case)
    magnitude, signal, previous, _ = problem(plan)
    layout = layout_of(plan)
    assert fused_cuda.unsupported_reason(layout) is None
    step = lambda: fused_cuda.step(layout, magnitude, signal, previous, *FACTORS)  # noqa: E731
    results = by_seeds(host_kernels, step, seeds=2)
    expected = expected_step(plan, magnitude, signal, previous)
    assert_near(results[0], expected[0])
    assert_near(results[1], expected[1])
    assert (results[0][-1] == 0).all()  # silence has no angles
    assert (results[0][:, plan.inverse_sumsquare == 0] == 0).all()


@needs_compiler
@CASES
def test_backward(host_kernels, case):
    plan = plan_of(case)
    magnitude, signal, previous, y = problem(plan)
    grad = torch.randn(3, plan.n_samples)
    inputs = layout_of(plan), magnitude, signal, previous, FACTORS[0], grad
    results = by_seeds(host_kernels, lambda: fused_cuda.project_vjp(*inputs), seeds=2)
    assert_gradients_near(plan, y, results, expected_gradients(plan, magnitude, y, grad))
    assert (results[0][-1] == 0).all()
    assert (results[1][-1] == 0).all()


@needs_compiler
@pytest.mark.parametrize(
    "case", [SMALL[0], SMALL[1], SMALL[4], pytest.param(LARGE[7], marks=pytest.mark.slow)], ids=str
)
def test_items_of_different_length(host_kernels, case):
    plan = ragged(case)
    magnitude, signal, previous, y = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)
    assert layout.n_valid is not None
    step = lambda: fused_cuda.step(layout, magnitude, signal, previous, *FACTORS)  # noqa: E731
    results = by_seeds(host_kernels, step, seeds=2)
    expected = expected_step(plan, magnitude, signal, previous)
    assert_near(results[0], expected[0])
    assert_near(results[1], expected[1])
    results = fused_cuda.project_vjp(layout, magnitude, signal, previous, FACTORS[0], grad)
    expected = expected_gradients(plan, magnitude, y, grad)
    mask = plan.frame_mask.double()  # padding frames have a gradient that nothing reads
    results = (results[0], results[1] * mask.float())
    assert_gradients_near(plan, y, results, (expected[0], expected[1] * mask))


@needs_compiler
@pytest.mark.parametrize("case", [SMALL[0], SMALL[4]], ids=str)
def test_results_are_bitwise_independent_of_streams_and_batch(host_kernels, monkeypatch, case):
    plan = plan_of(case)
    magnitude, signal, previous, _ = problem(plan)
    layout, grad = layout_of(plan), torch.randn(3, plan.n_samples)

    def everything(items: slice) -> tuple[Tensor, ...]:
        inputs = (layout, magnitude[items], signal[items], previous[items])
        gradients = fused_cuda.project_vjp(*inputs, FACTORS[0], grad[items])
        return (*fused_cuda.step(*inputs, *FACTORS), *gradients)

    batch = everything(slice(None))
    for run in (2, 4, 6, 64):
        monkeypatch.setattr(fused_cuda, "_streams", fixed_run(run))
        assert_equal(everything(slice(None)), batch)
    assert_equal(everything(slice(1, 2)), tuple(each[1:2] for each in batch))


@needs_compiler
def test_without_a_previous_signal_and_without_relaxation(host_kernels):
    plan = plan_of(SMALL[1], win_length=200)
    magnitude, signal, previous, _ = problem(plan)
    layout = layout_of(plan)
    magnitude = (plan.forward(signal.double()).abs() * (magnitude != 0)).float()
    x, t_next = fused_cuda.step(layout, magnitude, signal, None, *FACTORS)
    expected = expected_step(plan, magnitude, signal, None)
    assert_near(x, expected[0])
    assert_near(t_next, expected[1])
    x, t_next = fused_cuda.step(layout, magnitude, signal, previous, 0, 0.5, 1.0)
    assert t_next is x
    assert_near(x, expected[0])


@needs_compiler
def test_backward_is_exactly_linear_in_the_scale_of_the_gradient(host_kernels):
    plan = plan_of(SMALL[2])
    magnitude, signal, previous, _ = problem(plan)
    inputs = layout_of(plan), magnitude, signal, previous, 0.5
    grad = torch.randn(3, plan.n_samples)
    results = fused_cuda.project_vjp(*inputs, grad)
    small = fused_cuda.project_vjp(*inputs, grad * 2.0**-40)
    assert_equal(results, tuple(2.0**40 * each for each in small))


@pytest.mark.parametrize("items", [0, 1, 1000])
def test_streams_own_an_even_number_of_hops(items):
    kernel = fused_cuda._step_kernel(1024, 256)
    (grid_items, blocks), run = fused_cuda._streams(kernel, 101, items, CPU)
    assert grid_items == items
    assert run % 2 == 0
    assert (blocks - 1) * run < 101 <= blocks * run


@pytest.mark.parametrize("items", [1, 16, 64, 128, 256, 512, 1024, 5000])
def test_streams_fill_the_device_once_and_end_with_the_signal(items):
    kernel, hops = fused_cuda._step_kernel(1024, 256), 861
    (_, blocks), run = fused_cuda._streams(kernel, hops, items, CPU)
    assert items * blocks <= max(items, 132 * dict(kernel.defines)["MIN_BLOCKS"])
    assert run <= hops + 1


def test_unsupported_layouts(monkeypatch):
    layout = layout_of(plan_of(SMALL[4]))
    assert "on cpu" in fused_cuda.unsupported_reason(layout)
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    convention = STFTConvention(n_fft=400, hop_length=100)
    plan = stft_plan(convention, 5, 500, torch.float32, CPU)
    for changed, reason in [
        (plan.layout, "n_fft is 400"),
        (layout._replace(hop_length=300), "hop_length is 300"),
        (layout._replace(hop_length=2048), "hop_length is 2048"),
        (layout._replace(window=layout.window.double()), "float64"),
        (layout._replace(n_samples=2**30), "32-bit"),
    ]:
        assert reason in fused_cuda.unsupported_reason(changed)


SIZES = [
    (n_fft, n_fft // 16 * shift) for n_fft in fused_cuda.SIZES for shift in (1, 2, 4, 5, 8, 16)
]
EVERY_SIZE = pytest.mark.parametrize(
    "size", [(1024, 256), *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES)], ids=str
)


@needs_nvrtc
@EVERY_SIZE
def test_they_compile_without_spills(size):
    for kernel in fused_cuda.kernels(*size):
        threads = dict(kernel.defines).get("MIN_BLOCKS", 4) * fused_cuda._block(size[0])
        assert registers_without_spills(kernel) * threads <= fused_cuda.REGISTERS
