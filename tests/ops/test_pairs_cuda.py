"""The step for any frame length and hop: its kernels, run on the host, against the reference in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.ops.one_step import (
    EVERY_SHAPE,
    SHAPES,
    SMALL,
    assert_near,
    by_seeds,
    layout_of,
    mel_problem,
    noise,
    plan_of,
    problem,
    pull_of,
    ragged,
    reference,
    target_of,
)
from tests.problems import frame_convention
from torchmelinv.conventions import MelConvention
from torchmelinv.ops import nvrtc, pairs_cuda
from torchmelinv.ops.impose_magnitude import impose_magnitude_plainly
from torchmelinv.ops.overlap_add import frame_signal
from torchmelinv.phase.method import MagnitudeTarget


@needs_compiler
@pytest.mark.parametrize("n_frames", [1, 4, 5])
@EVERY_SHAPE
def test_a_step_with_a_magnitude(host_kernels, shape, n_frames):
    plan = plan_of(frame_convention(**shape), max(n_frames, 3 if "reflect" in shape["padding"] else 1))
    magnitude, signal, previous = problem(plan)
    layout, numbers = layout_of(plan), (0.99, 1.1, 0.7)
    assert pairs_cuda.why_not(layout) is None
    found = by_seeds(host_kernels, lambda: pairs_cuda.step(layout, magnitude, signal, previous, *numbers))
    expected = reference(plan, MagnitudeTarget(magnitude.double()), signal, previous, *numbers)
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])
    assert (found[0][-1] == 0).all()  # silence has no angles


@needs_compiler
def test_without_a_past_and_with_no_relaxation(host_kernels):
    plan = plan_of(frame_convention(**SHAPES["odd"]))
    magnitude, signal, previous = problem(plan)
    layout, target = layout_of(plan), MagnitudeTarget(magnitude.double())
    x, mixed = pairs_cuda.step(layout, magnitude, signal, None, 0.9, 0.3, 1)
    assert mixed is x
    assert_near(x, reference(plan, target, signal, None, 0, 0, 1)[0])
    x, mixed = pairs_cuda.step(layout, magnitude, signal, None, 0.9, 0.3, 0.5)
    assert_near(mixed, reference(plan, target, signal, None, 0, 0, 0.5)[1])
    x, mixed = pairs_cuda.step(layout, magnitude, signal, previous, 0.9, 0.3, 1.0)
    assert mixed is x
    assert_near(x, reference(plan, target, signal, previous, 0.9, 0.3, 1)[0])


@needs_compiler
@pytest.mark.parametrize("least", [1, 2, 3, 7])
@EVERY_SHAPE
def test_frames_and_their_transpose(host_kernels, shape, least):
    """Also of items much shorter than their padding, which are mirrored again and again."""
    plan, layout, _ = ragged(shape, least)
    signal = noise(3, plan.n_samples) * (plan.inverse_envelope != 0)
    pairs = pairs_cuda.frames(layout, signal, None, 0)
    back = torch.complex(noise(*pairs.shape), noise(*pairs.shape))
    found, to_found = (torch.stack([z.real, z.imag], 2).flatten(1, 2) for z in (pairs, back))
    y = signal.double().requires_grad_()
    expected = frame_signal(plan.pad(y), plan.window, layout.hop_length)
    assert_near(found[:, :7], expected.detach())
    assert (found[:, 7] == 0).all()  # what the last frame is paired with
    assert_near(pairs_cuda.fold(layout, back), torch.autograd.grad(expected, y, to_found[:, :7].double())[0], 1e-6)


@needs_compiler
@EVERY_SHAPE
def test_items_of_unlike_length(host_kernels, shape):
    plan, layout, counted = ragged(shape)
    magnitude, signal, previous = (each[:3] for each in problem(plan, 4))
    magnitude = magnitude * counted
    signal, previous = (each * (plan.inverse_envelope != 0) for each in (signal, previous))
    found = by_seeds(host_kernels, lambda: pairs_cuda.step(layout, magnitude, signal, previous, 0.99, 0, 0.9))
    expected = reference(plan, MagnitudeTarget(magnitude.double()), signal, previous, 0.99, 0, 0.9)
    for one, other in zip(found, expected, strict=True):
        for item in range(3):
            assert_near(one[item], other[item])


@needs_compiler
@pytest.mark.parametrize("alone", [0, 1])
def test_an_item_is_bitwise_the_same_alone(host_kernels, alone):
    """The transforms between the kernels are torch's; on the CPU they are the same, too."""
    plan, layout, counted = ragged(SHAPES["odd"])
    magnitude, signal, previous = problem(plan)
    magnitude *= counted
    one = slice(alone, alone + 1)
    layout_of_one = layout._replace(inverse_envelope=layout.inverse_envelope[one].clone(), ends=layout.ends[one].clone())
    step = (0.99, 0.1, 0.9)
    many = pairs_cuda.step(layout, magnitude, signal, previous, *step)
    single = pairs_cuda.step(layout_of_one, magnitude[one], signal[one], previous[one], *step)
    assert all(torch.equal(found[one], other) for found, other in zip(many, single, strict=True))
    grad = noise(*signal.shape)
    many = pairs_cuda.project_vjp(layout, magnitude, signal, previous, 0.5, grad)
    single = pairs_cuda.project_vjp(layout_of_one, magnitude[one], signal[one], previous[one], 0.5, grad[one])
    assert all(torch.equal(found[one], other) for found, other in zip(many, single, strict=True))


@needs_compiler
@pytest.mark.parametrize("unlike", [False, True])
@EVERY_SHAPE
def test_the_way_back(host_kernels, shape, unlike):
    """By autograd of the reference, whose quiet bins turn fast: the error is of the spectrum's rounding over |c|²."""
    plan, layout, counted = ragged(shape) if unlike else (plan := plan_of(frame_convention(**shape)), layout_of(plan), 1)
    magnitude, signal, previous = problem(plan)
    magnitude = magnitude * counted
    if unlike:
        signal, previous = (each * (plan.inverse_envelope != 0) for each in (signal, previous))
    grad = noise(*signal.shape)
    y = (signal.double() + 0.9 * (signal.double() - previous.double())).requires_grad_()
    values = magnitude.double().requires_grad_()
    x = plan.synthesise(impose_magnitude_plainly(plan.analyse(y), values))
    expected = torch.autograd.grad(x, (y, values), grad.double())
    found = by_seeds(host_kernels, lambda: pairs_cuda.project_vjp(layout, magnitude, signal, previous, 0.9, grad))
    for one, other in zip(found, expected, strict=True):
        for item in range(3):
            assert_near(one[item], other[item], 5e-5)
    assert (found[0][2] == 0).all()  # silence has no angles, so passes no gradient


@needs_compiler
@pytest.mark.parametrize("size", [1e-15, 1e15])
def test_the_way_back_of_a_gradient_of_any_size(host_kernels, size):
    plan = plan_of(frame_convention(**SHAPES["reflect"]))
    magnitude, signal, _ = problem(plan)
    grad = noise(*signal.shape)
    usual = pairs_cuda.project_vjp(layout_of(plan), magnitude, signal, None, 0, grad)
    found = pairs_cuda.project_vjp(layout_of(plan), magnitude, signal, None, 0, size * grad)
    for one, other in zip(found, usual, strict=True):
        torch.testing.assert_close(one / size, other, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("convention", [
    MelConvention(sample_rate=16000, n_fft=400, hop_length=160, n_mels=80),
    MelConvention(sample_rate=24000, n_fft=2048, hop_length=300, n_mels=80, power=2, f_max=8000.0, padding="none"),
    MelConvention(sample_rate=16000, n_fft=1023, hop_length=255, n_mels=40, padding="center_zero"),
], ids=["400/160", "2048/300", "1023/255"])  # fmt: skip
def test_on_a_device(convention):
    agree_on(torch.device("cuda"), convention)


def agree_on(device: torch.device, convention: MelConvention) -> None:
    """Sizes of real use, there and back."""
    plan = plan_of(convention, 9)
    magnitude, signal, previous = problem(plan)
    grad, mel = noise(*signal.shape), mel_problem(convention, plan)[0]
    there = lambda record: record._replace(  # noqa: E731
        **{name: value.to(device) for name, value in record._asdict().items() if isinstance(value, Tensor)}
    )
    layout, signals = there(layout_of(plan)), [signal.to(device), previous.to(device)]
    target = target_of(convention, mel, 2, 1.0)
    pull = there(pull_of(target))
    for wanted, reached in [(magnitude.to(device), MagnitudeTarget(magnitude.double())), (pull, target)]:
        found = pairs_cuda.step(layout, wanted, *signals, 0.99, 1.1, 0.7)
        for one, other in zip(found, reference(plan, reached, signal, previous, 0.99, 1.1, 0.7), strict=True):
            assert_near(one.cpu(), other)
    y, values = signal.double().requires_grad_(), magnitude.double().requires_grad_()
    expected = torch.autograd.grad(plan.synthesise(impose_magnitude_plainly(plan.analyse(y), values)), (y, values), grad.double())
    found = pairs_cuda.project_vjp(layout, magnitude.to(device), signals[0], None, 0, grad.to(device))
    for one, other in zip(found, expected, strict=True):
        assert_near(one.cpu(), other, 1e-4)  # some of so many bins are very quiet


def test_sizes_that_the_kernels_cannot_serve():
    convention = SMALL.replace(n_fft=32768, hop_length=8192)
    plan = plan_of(convention, 3)
    layout = layout_of(plan)
    pull = pull_of(target_of(SMALL, noise(1, 3, 8), 1, 1.0))
    assert "shared memory" in pairs_cuda.why_not(layout, pull)
    assert pairs_cuda.why_not(layout._replace(n_frames=2**15)) is None
    assert "2²⁹" in pairs_cuda.why_not(layout._replace(n_frames=2**16))


@needs_nvrtc
def test_they_compile_for_a_device_without_spills():
    assert len({kernel.source for kernel in pairs_cuda.kernels()}) == 1
    log = nvrtc.compile_kernel(pairs_cuda.FRAME, "sm_90").log
    assert log.count("Compiling entry function") == len(pairs_cuda.kernels())
    assert all(registers_without_spills(kernel) <= 64 for kernel in pairs_cuda.kernels())
