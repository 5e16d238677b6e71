"""The projection of signals: its values, its gradients, and the bytes that it saves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.measurement import saved_bytes
from tests.problems import TINY, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.phase.mel_target import mel_target
from torchmelinv.phase.problem import PhaseProblem, extrapolate
from torchmelinv.phase.target import MagnitudeTarget, MelData, Target
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

F64 = torch.float64
CONVENTION = TINY.replace(n_fft=16, hop_length=4, n_mels=4)
SIGNAL = tones(40, (2,), F64)
OTHER = tones(40, (2,), F64).flip(-1)
PLAN = STFT(CONVENTION).plan(11, 40, SIGNAL)


def magnitude_target() -> Target:
    return MagnitudeTarget(PLAN.forward(OTHER).abs() + 0.05)


def mel_consistent_target() -> Target:
    mel = MelSpectrogram(CONVENTION).linear_mel(OTHER).mT
    scale = torch.ones(2, 1, 1, dtype=F64)
    return mel_target(MelData(mel, scale, MelFilterbank(CONVENTION), CONVENTION), 2, 1.0)


TARGETS = pytest.mark.parametrize("target", [magnitude_target(), mel_consistent_target()])


def project_plainly(signal: Tensor, target: Target) -> Tensor:
    return PLAN.inverse(target.impose(PLAN.forward(signal)))


@TARGETS
def test_the_projection_and_its_gradients(target):
    signal, values = SIGNAL.clone().requires_grad_(), target.values.clone().requires_grad_()
    target = target.with_values(values)
    result = PhaseProblem(target, PLAN).consistent_projection(signal)
    expected = project_plainly(signal, target)
    torch.testing.assert_close(result, expected)
    weights = torch.randn_like(SIGNAL)
    gradients, expected_gradients = (
        torch.autograd.grad((waveform * weights).sum(), (signal, values))
        for waveform in (result, expected)
    )
    torch.testing.assert_close(gradients, expected_gradients)


@TARGETS
def test_the_projection_saves_the_signal_only(target):
    signal = SIGNAL.clone().requires_grad_()
    problem = PhaseProblem(target, PLAN)
    assert saved_bytes(lambda: problem.consistent_projection(signal)) == signal.nbytes


def test_second_derivatives_with_a_magnitude():
    signal, values = SIGNAL.clone().requires_grad_(), magnitude_target().values.requires_grad_()

    def project(signal: Tensor, values: Tensor) -> Tensor:
        return PhaseProblem(MagnitudeTarget(values), PLAN).consistent_projection(signal)

    assert torch.autograd.gradgradcheck(project, (signal, values))


def test_second_derivatives_with_a_mel_are_refused():
    signal = SIGNAL.clone().requires_grad_()
    waveform = PhaseProblem(mel_consistent_target(), PLAN).consistent_projection(signal)
    with pytest.raises(InputError, match="no second derivative"):
        torch.autograd.grad(waveform.square().sum(), signal, create_graph=True)


@TARGETS
def test_there_is_no_fused_step_on_the_cpu(target):
    assert PhaseProblem(target, PLAN).fused_step(SIGNAL, SIGNAL, 0.9, 0.9, 1.1) is None


def test_extrapolate():
    current, previous = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0])
    assert extrapolate(current, previous, 0) is current
    assert extrapolate(current, previous, 0.5).tolist() == [4.0, 0.5]
