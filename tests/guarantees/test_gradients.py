"""Gradients through the inversion: each mode against what it says, finite everywhere, also in single precision and silence."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.frame import Frame
from torchmelinv.functional import fast_griffin_lim, start_angles
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.phase.start import STARTS

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


@pytest.mark.parametrize("phase", ["fast_griffin_lim", "mel_consistent"])
def test_whole_path_gradients_are_finite_differences(phase):
    convention = SMALL.replace(magnitude_offset=1e-9, level={"log": "ln", "floor": 1e-5})
    mel = MelAnalyzer(convention)(tones(40, dtype=torch.float64)).requires_grad_()
    for power in (1, 2):
        inverter = MelInverter(convention.replace(power=power), phase=phase, n_iter=2, start="random")
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


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e8])
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("phase", PHASES)
def test_every_phase_is_finite_on_silence_and_at_every_scale(phase, convention, scale):
    mel = scale * MelAnalyzer(convention).linear(tones(320, (2,)))
    mel[1, :, 3:7] = 0
    mel[1, 5:9] = 0  # bands that are silent throughout
    for mode in ("unrolled", "phase_detached"):
        leaf = mel.clone().requires_grad_()
        waveform = MelInverter(convention, phase=phase, n_iter=3, gradient=mode)(leaf)
        waveform.sum().backward()
        assert waveform.isfinite().all()
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() > 0 or scale == 0


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("phase", ["fast_griffin_lim", "raar", "mel_consistent"])
def test_every_start_is_finite_in_every_precision(phase, start):
    mel = MelAnalyzer(TINY_LOG)(torch.cat([tones(300), torch.zeros(300)]))
    inverter = MelInverter(TINY_LOG, phase=phase, n_iter=2, start=start)
    expected = inverter(mel)
    for values in (mel, mel.half(), mel.bfloat16(), mel.double()):
        leaf = values.detach().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            waveform = inverter(leaf)
            waveform.square().sum().backward()
        assert waveform.dtype == (torch.float64 if values.dtype == torch.float64 else torch.float32)
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().max() > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(inverter(mel), expected)


@pytest.mark.parametrize("start", ["spsi", "pghi"])
def test_a_start_that_is_read_off_counts_as_given(start):
    frame = SMALL.frame
    magnitude = (Frame(frame).analyse(tones(80, dtype=torch.float64)).abs() + 0.05).requires_grad_()
    gradients = [
        torch.autograd.grad(fast_griffin_lim(magnitude, frame, 2, start=each).square().sum(), magnitude)[0]
        for each in (start, start_angles(magnitude, frame, start))
    ]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_analysis_has_finite_gradients_on_silence():
    for convention in (TINY, TINY_POWER, TINY_LOG, TINY.replace(power=0.7)):
        waveform = torch.zeros(2, 800)
        waveform[1, 300:500] = tones(200)
        waveform.requires_grad_()
        MelAnalyzer(convention)(waveform).sum().backward()
        assert waveform.grad.isfinite().all()
