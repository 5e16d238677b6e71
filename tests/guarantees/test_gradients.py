"""Gradients through the inversion: each mode against what it says, finite everywhere, also in single precision and silence."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.frame import Frame
from torchmelinv.functional import fast_griffin_lim
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter

SMALL = MelConvention(sample_rate=8000, n_fft=16, hop_length=4, n_mels=4, padding="same_reflect")


@pytest.mark.parametrize("padding", ["center_reflect", "center_zero", "same_reflect", "none"])
def test_unrolled_gradients_are_finite_differences(padding):
    frame = SMALL.replace(padding=padding).frame
    magnitude = (Frame(frame).analyse(tones(40, dtype=torch.float64)).abs() + 0.05).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: fast_griffin_lim(m, frame, 3), magnitude, eps=1e-7, atol=1e-4)


def test_unrolled_gradients_with_lengths():
    magnitude = (Frame(SMALL).analyse(tones(40, (2,), torch.float64)).abs() + 0.05).requires_grad_()
    lengths = torch.tensor([10, 6])
    function = lambda m: fast_griffin_lim(m, SMALL, 2, lengths=lengths)  # noqa: E731
    assert torch.autograd.gradcheck(function, magnitude, eps=1e-7, atol=1e-4)
    (gradient,) = torch.autograd.grad(function(magnitude).square().sum(), magnitude)
    assert (gradient[1, :, 6:] == 0).all()


def test_whole_path_gradients_are_finite_differences():
    convention = SMALL.replace(magnitude_offset=1e-9, level={"log": "ln", "floor": 1e-5})
    mel = MelAnalyzer(convention)(tones(40, dtype=torch.float64)).requires_grad_()
    for power in (1, 2):
        inverter = MelInverter(convention.replace(power=power), n_iter=2)
        assert torch.autograd.gradcheck(inverter, mel, eps=1e-6, atol=1e-3, rtol=1e-3)


def gradients(mode) -> torch.Tensor:
    magnitude = (Frame(SMALL).analyse(tones(80, dtype=torch.float64)).abs() + 0.05).requires_grad_()
    waveform = fast_griffin_lim(magnitude, SMALL, 6, gradient=mode)
    return torch.autograd.grad((waveform * tones(80, dtype=torch.float64).flip(-1)).sum(), magnitude)[0]


def test_modes():
    unrolled = gradients("unrolled")
    torch.testing.assert_close(gradients("checkpointed"), unrolled)
    torch.testing.assert_close(gradients(6), unrolled)
    assert not torch.allclose(gradients(1), unrolled)
    magnitude = torch.rand(9, 20, dtype=torch.float64).requires_grad_()
    assert not fast_griffin_lim(magnitude, SMALL, 6, gradient="none").requires_grad


def test_phase_detached_is_the_derivative_at_fixed_phase():
    magnitude = (Frame(SMALL).analyse(tones(80, dtype=torch.float64)).abs() + 0.05).requires_grad_()
    found = fast_griffin_lim(magnitude, SMALL, 6, gradient="none")
    phase = Frame(SMALL).analyse(found).sgn()
    detached = fast_griffin_lim(magnitude, SMALL, 6, gradient="phase_detached")
    torch.testing.assert_close(detached, Frame(SMALL).synthesise(magnitude * phase, 80))
    direction = torch.rand_like(magnitude)
    (gradient,) = torch.autograd.grad(detached.sum(), magnitude)
    expected = Frame(SMALL).synthesise(direction * phase, 80).sum()
    torch.testing.assert_close((gradient * direction).sum(), expected)


@pytest.mark.parametrize("mode", ["unrolled", "checkpointed", "phase_detached", 2])
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e8])
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
def test_finite_on_silence_and_at_every_scale(convention, scale, mode):
    mel = scale * MelAnalyzer(convention).linear(tones(640, (2,)))
    mel[..., 5:9] = 0  # digital silence within the item
    mel.requires_grad_()
    waveform = MelInverter(convention, n_iter=4, gradient=mode)(mel)
    waveform.sum().backward()
    assert waveform.isfinite().all()
    assert mel.grad.isfinite().all()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_finite_at_the_floor_under_autocast_and_in_half(magnitude, phase):
    mel = MelAnalyzer(TINY_LOG)(torch.cat([tones(400), torch.zeros(400)]))
    for values in (mel, mel.bfloat16()):
        values = values.detach().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            MelInverter(TINY_LOG, magnitude, phase, 4)(values).square().sum().backward()
        assert values.grad.isfinite().all()
        assert values.grad.abs().max() > 0


def test_analysis_has_finite_gradients_on_silence():
    for convention in (TINY, TINY_POWER, TINY_LOG, TINY.replace(power=0.7)):
        waveform = torch.zeros(2, 800)
        waveform[1, 300:500] = tones(200)
        waveform.requires_grad_()
        MelAnalyzer(convention)(waveform).sum().backward()
        assert waveform.grad.isfinite().all()
