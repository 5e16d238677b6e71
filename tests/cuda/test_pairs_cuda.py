"""The step for any frame length and hop: its kernels in emulation, against float64."""

from __future__ import annotations

import pytest
import torch

from tests.cuda.one_step import (
    EVERY_SHAPE,
    SHAPES,
    SMALL,
    assert_equal,
    assert_items_near,
    assert_near,
    by_seeds,
    layout_of,
    mel_problem,
    mel_update_of,
    noise,
    plan_of,
    problem,
    ragged,
    reference,
    select_item,
    target_of,
    to_device,
)
from tests.host_cuda import needs_compiler, needs_nvrtc, registers_without_spills
from tests.problems import stft_convention
from torchmelinv.conventions import MelConvention
from torchmelinv.cuda import nvrtc, pairs_cuda
from torchmelinv.phase.impose_magnitude import impose_magnitude_plainly
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.transforms.overlap_add import frame_signal

FACTORS = (0.99, 1.1, 0.7)  # alpha, beta, gamma


@needs_compiler
@pytest.mark.parametrize("n_frames", [1, 4, 5])
@EVERY_SHAPE
def test_a_step(host_kernels, shape, n_frames):
    least = 3 if "reflect" in shape["padding"] else 1
    plan = plan_of(stft_convention(**shape), max(n_frames, least))
    magnitude, signal, previous = problem(plan)
    layout, target = layout_of(plan), MagnitudeTarget(magnitude.double())
    assert pairs_cuda.unsupported_reason(layout) is None
    step = lambda: pairs_cuda.step(layout, magnitude, signal, previous, *FACTORS)  # noqa: E731
    results = by_seeds(host_kernels, step)
    expected = reference(plan, target, signal, previous, *FACTORS)
    assert_near(results[0], expected[0])
    assert_near(results[1], expected[1])
    assert (results[0][-1] == 0).all()  # silence has no angles


@needs_compiler
def test_without_a_previous_signal_and_without_relaxation(host_kernels):
    plan = plan_of(stft_convention(**SHAPES["odd"]))
    magnitude, signal, previous = problem(plan)
    layout, target = layout_of(plan), MagnitudeTarget(magnitude.double())
    x, t_next = pairs_cuda.step(layout, magnitude, signal, None, 0.9, 0.3, 1)
    assert t_next is x
    assert_near(x, reference(plan, target, signal, None, 0, 0, 1)[0])
    x, t_next = pairs_cuda.step(layout, magnitude, signal, None, 0.9, 0.3, 0.5)
    assert_near(t_next, reference(plan, target, signal, None, 0, 0, 0.5)[1])
    x, t_next = pairs_cuda.step(layout, magnitude, signal, previous, 0.9, 0.3, 1.0)
    assert t_next is x
    assert_near(x, reference(plan, target, signal, previous, 0.9, 0.3, 1)[0])


@needs_compiler
@pytest.mark.parametrize("least", [1, 2, 3, 7])
@EVERY_SHAPE
def test_frames_and_their_transpose(host_kernels, shape, least):
    """Includes items much shorter than their padding, which are mirrored several times."""
    plan, layout, _ = ragged(shape, least)
    signal = noise(3, plan.n_samples) * (plan.inverse_sumsquare != 0)
    pairs = pairs_cuda.frames(layout, signal, None, 0)
    grad = torch.complex(noise(*pairs.shape), noise(*pairs.shape))
    frames, frames_grad = (torch.stack([z.real, z.imag], 2).flatten(1, 2) for z in (pairs, grad))
    y = signal.double().requires_grad_()
    expected = frame_signal(plan.pad(y), plan.window, layout.hop_length)
    assert_near(frames[:, :7], expected.detach())
    assert (frames[:, 7] == 0).all()  # the partner of the last frame
    (expected_grad,) = torch.autograd.grad(expected, y, frames_grad[:, :7].double())
    assert_near(pairs_cuda.fold(layout, grad), expected_grad, 1e-6)


@needs_compiler
@EVERY_SHAPE
def test_items_of_different_length(host_kernels, shape):
    plan, layout, frame_mask = ragged(shape)
    magnitude, signal, previous = (each[:3] for each in problem(plan, 4))
    magnitude = magnitude * frame_mask
    signal, previous = (each * (plan.inverse_sumsquare != 0) for each in (signal, previous))
    target, factors = MagnitudeTarget(magnitude.double()), (0.99, 0, 0.9)
    step = lambda: pairs_cuda.step(layout, magnitude, signal, previous, *factors)  # noqa: E731
    results = by_seeds(host_kernels, step)
    assert_items_near(results, reference(plan, target, signal, previous, *factors))


@needs_compiler
@pytest.mark.parametrize("item", [0, 1])
def test_an_item_is_bitwise_the_same_alone(host_kernels, item):
    """The transforms between the kernels are those of torch; on the CPU they are the same, too."""
    plan, layout, frame_mask = ragged(SHAPES["odd"])
    magnitude, signal, previous = problem(plan)
    magnitude *= frame_mask
    alone = slice(item, item + 1)
    batch_inputs = layout, magnitude, signal, previous
    item_inputs = select_item(layout, item), magnitude[alone], signal[alone], previous[alone]
    batch = pairs_cuda.step(*batch_inputs, 0.99, 0.1, 0.9)
    single = pairs_cuda.step(*item_inputs, 0.99, 0.1, 0.9)
    assert_equal(tuple(each[alone] for each in batch), single)
    grad = noise(*signal.shape)
    batch = pairs_cuda.project_vjp(*batch_inputs, 0.5, grad)
    single = pairs_cuda.project_vjp(*item_inputs, 0.5, grad[alone])
    assert_equal(tuple(each[alone] for each in batch), single)


@needs_compiler
@pytest.mark.parametrize("different_lengths", [False, True])
@EVERY_SHAPE
def test_backward(host_kernels, shape, different_lengths):
    """Against autograd; quiet bins turn fast: the error is that of the spectrum over |c|²."""
    if different_lengths:
        plan, layout, frame_mask = ragged(shape)
    else:
        plan, frame_mask = plan_of(stft_convention(**shape)), 1
        layout = layout_of(plan)
    magnitude, signal, previous = problem(plan)
    magnitude = magnitude * frame_mask
    if different_lengths:
        signal, previous = (each * (plan.inverse_sumsquare != 0) for each in (signal, previous))
    grad = noise(*signal.shape)
    y = (signal.double() + 0.9 * (signal.double() - previous.double())).requires_grad_()
    values = magnitude.double().requires_grad_()
    x = plan.inverse(impose_magnitude_plainly(plan.forward(y), values))
    expected = torch.autograd.grad(x, (y, values), grad.double())
    inputs = layout, magnitude, signal, previous, 0.9, grad
    results = by_seeds(host_kernels, lambda: pairs_cuda.project_vjp(*inputs))
    for result, gradient in zip(results, expected, strict=True):
        for item in range(3):
            assert_near(result[item], gradient[item], 5e-5)
    assert (results[0][2] == 0).all()  # silence has no angles, so it passes no gradient


@needs_compiler
@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_backward_of_a_gradient_of_any_scale(host_kernels, scale):
    plan = plan_of(stft_convention(**SHAPES["reflect"]))
    magnitude, signal, _ = problem(plan)
    grad, inputs = noise(*signal.shape), (layout_of(plan), magnitude, signal, None, 0)
    usual = pairs_cuda.project_vjp(*inputs, grad)
    scaled = pairs_cuda.project_vjp(*inputs, scale * grad)
    for result, expected in zip(scaled, usual, strict=True):
        torch.testing.assert_close(result / scale, expected, rtol=1e-4, atol=1e-5)


DEVICE_CONVENTIONS = {
    "400/160": MelConvention(sample_rate=16000, n_fft=400, hop_length=160, n_mels=80),
    "2048/300": MelConvention(
        sample_rate=24000,
        n_fft=2048,
        hop_length=300,
        n_mels=80,
        power=2,
        f_max=8000.0,
        padding="none",
    ),
    "1023/255": MelConvention(
        sample_rate=16000, n_fft=1023, hop_length=255, n_mels=40, padding="center_zero"
    ),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", DEVICE_CONVENTIONS)
def test_on_a_device(name):
    convention = DEVICE_CONVENTIONS[name]
    plan = plan_of(convention, 9)
    magnitude, signal, previous = problem(plan)
    grad, mel = noise(*signal.shape), mel_problem(convention, plan)[0]
    layout, signals = to_device(layout_of(plan), "cuda"), (signal.cuda(), previous.cuda())
    mel_target = target_of(convention, mel, 2, 1.0)
    update = to_device(mel_update_of(mel_target), "cuda")
    magnitude_target = MagnitudeTarget(magnitude.double())
    for args, target in [(magnitude.cuda(), magnitude_target), (update, mel_target)]:
        results = pairs_cuda.step(layout, args, *signals, *FACTORS)
        expected = reference(plan, target, signal, previous, *FACTORS)
        assert_near(results[0].cpu(), expected[0])
        assert_near(results[1].cpu(), expected[1])
    y, values = signal.double().requires_grad_(), magnitude.double().requires_grad_()
    x = plan.inverse(impose_magnitude_plainly(plan.forward(y), values))
    expected = torch.autograd.grad(x, (y, values), grad.double())
    results = pairs_cuda.project_vjp(layout, magnitude.cuda(), signals[0], None, 0, grad.cuda())
    for result, gradient in zip(results, expected, strict=True):
        assert_near(result.cpu(), gradient, 1e-4)  # a few of so many bins are very quiet


def test_unsupported_sizes():
    convention = SMALL.replace(n_fft=32768, hop_length=8192)
    layout = layout_of(plan_of(convention, 3))
    update = mel_update_of(target_of(SMALL, noise(1, 3, 8), 1, 1.0))
    assert "shared memory" in pairs_cuda.unsupported_reason(layout, update)
    assert pairs_cuda.unsupported_reason(layout._replace(n_frames=2**15)) is None
    assert "2²⁹" in pairs_cuda.unsupported_reason(layout._replace(n_frames=2**16))


@needs_nvrtc
def test_they_compile_without_spills():
    assert len({kernel.source for kernel in pairs_cuda.kernels()}) == 1
    log = nvrtc.compile_kernel(pairs_cuda.FRAME, "sm_90").log
    assert log.count("Compiling entry function") == len(pairs_cuda.kernels())
    assert all(registers_without_spills(kernel) <= 64 for kernel in pairs_cuda.kernels())
