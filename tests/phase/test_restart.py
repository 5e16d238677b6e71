"""Restarts of the mel-consistent iteration: where they act, and what they prevent."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.phase.papers import F64, LOCK_STEP, Projections, accelerated, impose_mel, istft, stft
from tests.problems import TINY, tones
from tests.solve import solve, solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase import restart
from torchmelinv.phases import AcceleratedGriffinLim, GriffinLim, MelConsistent
from torchmelinv.transforms.mel_filterbank import MelFilterbank

CONVENTION = TINY.replace(n_fft=64, hop_length=16, n_mels=12, padding="center_zero")
SMALL = TINY.replace(n_fft=16, hop_length=4, n_mels=4)
METHODS = {
    (0.99, 0.99, 1.0): GriffinLim(0.99),
    (0.9, 0.8, 1.1): AcceleratedGriffinLim(0.9, 0.8, 1.1),
}


@pytest.fixture
def always(monkeypatch):
    """Let every item restart at every check but the first."""
    monkeypatch.setattr(restart, "LARGEST_RISE", 0.0)


def linear_mel(n_samples: int = 480) -> Tensor:
    return MelSpectrogram(CONVENTION).linear_mel(tones(n_samples, (), F64))


@pytest.mark.parametrize("factors", METHODS, ids=str)
def test_lock_step_with_dense_matrices_where_items_restart(always, factors):
    mel = linear_mel()
    magnitude = entropic(mel, MelFilterbank(CONVENTION))
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    impose = impose_mel(mel, CONVENTION, 2, 1.0)
    projections = Projections(impose, lambda x: stft(x, CONVENTION), istft)
    method = MelConsistent(METHODS[factors])
    waveform = solve_mel(method, mel, CONVENTION, 14, init=angles).waveform
    initial = torch.polar(magnitude, angles)
    expected = accelerated(initial, projections, 14, *factors, rise=0.0)
    torch.testing.assert_close(waveform, expected, **LOCK_STEP)
    paper = accelerated(initial, projections, 14, *factors)
    assert (waveform - paper).norm() > 1e-4 * paper.norm()


@pytest.mark.parametrize("method", METHODS.values(), ids=str)
def test_gradients_pass_restarts(always, method):
    mel = MelSpectrogram(SMALL).linear_mel(tones(16, (), F64)) + 0.05
    waveforms = {}
    for gradient in ("unrolled", "checkpointed"):
        leaf = mel.clone().requires_grad_()
        phase = MelConsistent(method)
        waveform = MelInverter(SMALL, phase=phase, n_iter=10, gradient=gradient)(leaf)
        (grad,) = torch.autograd.grad(waveform.square().sum(), leaf)
        waveforms[gradient] = waveform.detach(), grad
    assert torch.equal(waveforms["unrolled"][0], waveforms["checkpointed"][0])
    torch.testing.assert_close(waveforms["unrolled"][1], waveforms["checkpointed"][1])

    def waveform_of(mel: Tensor) -> Tensor:
        return solve_mel(MelConsistent(method), mel, SMALL, 9, init="zero").waveform

    leaf = mel.clone().requires_grad_()
    assert torch.autograd.gradcheck(waveform_of, leaf, eps=1e-6, atol=1e-3, rtol=1e-2)


def test_a_magnitude_keeps_the_recursion_of_the_paper(always):
    magnitude = stft(tones(480, (), F64), CONVENTION).abs()
    angles = 2 * torch.pi * torch.rand(magnitude.shape, dtype=F64)
    method = AcceleratedGriffinLim(0.9, 0.8, 1.1)
    waveform = solve(method, magnitude, CONVENTION, 14, init=angles).waveform
    projections = Projections(lambda c: magnitude * c.sgn(), lambda x: stft(x, CONVENTION), istft)
    expected = accelerated(torch.polar(magnitude, angles), projections, 14, 0.9, 0.8, 1.1)
    torch.testing.assert_close(waveform, expected, **LOCK_STEP)


def test_only_items_that_rise_restart():
    signal, extrapolated = torch.ones(3, 4), torch.zeros(3, 4)
    least = torch.tensor([[math.inf], [1.9], [1.0]])
    rises, least = restart.check_rise(signal, extrapolated, least)
    assert rises.tolist() == [[False], [False], [True]]
    assert least.tolist() == [[2.0], [pytest.approx(1.9)], [1.0]]


def test_more_iterations_are_not_worse_where_low_bins_swing():
    """Brown noise with the narrow lowest bands of diffwave lost 3 dB from 32 to 100 iterations."""
    spectrum = torch.fft.rfft(torch.randn(3, 11025, generator=torch.Generator().manual_seed(2)))
    noise = torch.fft.irfft(spectrum / torch.arange(1, spectrum.shape[-1] + 1) ** 1.5, 11025)
    mel = MelSpectrogram("diffwave")(noise / noise.std(-1, keepdim=True) / 10)
    history = 20 * MelInverter("diffwave", n_iter=100).solve(mel).history.log10()
    assert (history[99] < history[31] + 0.5).all()
