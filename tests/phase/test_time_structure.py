"""The gain that keeps pitch pulses and onsets: what it does to sounds that have them or not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import TINY
from tests.solve import solve_mel
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics import harmonics_to_noise_db, onset_slope_db, pulse_depth
from torchmelinv.phase.time_structure import find_gain
from torchmelinv.phases import ADMM, GriffinLim, MelConsistent, Then

RATE = 22050
SHAPED = MelConsistent(time_structure=1.0)


def noise(n_samples: int = RATE) -> Tensor:
    return torch.randn(n_samples, generator=torch.Generator().manual_seed(0))


def voice() -> Tensor:
    """Return pulses whose pitch moves around 120 Hz, with a noise of 3 % of their level."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    cycles = 120 * (time - 0.02 / (2 * torch.pi * 5) * (2 * torch.pi * 5 * time).cos())
    harmonics = [(2 * torch.pi * k * cycles).cos() / k**0.5 for k in range(1, 80)]
    pulses = torch.stack(harmonics).sum(0).float()
    return 0.1 * (pulses / pulses.std() + 0.5 * noise())


def clicks() -> Tensor:
    """Return a noise that starts four times and decays."""
    time = (torch.arange(RATE) / RATE + 0.15).remainder(0.23) - 0.11
    return torch.where(time >= 0, noise() * (-20 * time).exp(), 0.02 * noise())


def invert(waveform: Tensor, phase: MelConsistent, n_iter: int = 32) -> Tensor:
    mel = MelSpectrogram("hifigan_22k")(waveform)
    return MelInverter("hifigan_22k", phase=phase, n_iter=n_iter)(mel, length=len(waveform))


@pytest.mark.parametrize("n_iter", [32, 64])
def test_pulses_are_deeper(n_iter):
    expected = voice()
    scores = {}
    for phase in (MelConsistent(), SHAPED):
        waveform = invert(expected, phase, n_iter)
        depth = pulse_depth(waveform, expected, RATE)
        scores[phase] = depth, harmonics_to_noise_db(waveform, expected, RATE)
    (depth, ratio), (shaped_depth, shaped_ratio) = scores.values()
    assert (depth < -0.1).all()
    assert (shaped_depth > depth + 0.05).all()
    assert (shaped_ratio > ratio).all()


def test_onsets_are_steeper():
    slopes = [
        onset_slope_db(invert(clicks(), each), clicks(), RATE) for each in (MelConsistent(), SHAPED)
    ]
    assert slopes[0] < -5
    assert slopes[1] > slopes[0] + 3


def test_noise_and_steady_tones_have_no_gain():
    assert find_gain(noise()[None], RATE, 1.0).abs().mean() < 1e-4
    time = torch.arange(RATE) / RATE
    tones = sum((2 * torch.pi * hertz * time).sin() for hertz in (220.0, 1130.0, 2710.0))
    assert find_gain(tones[None, 2000:-2000], RATE, 1.0)[:, 2000:-2000].abs().mean() < 1e-4


def test_gain_does_not_depend_on_level_and_neighbors():
    signals = torch.stack([voice(), clicks()])
    gain = find_gain(signals, RATE, 1.0)
    assert gain.abs().amax(-1).min() > 0.01
    torch.testing.assert_close(find_gain(1e-6 * signals[:1], RATE, 1.0), gain[:1])
    torch.testing.assert_close(find_gain(signals[1:], RATE, 1.0), gain[1:])
    assert (find_gain(torch.zeros(1, 4000), RATE, 1.0) == 0).all()


def test_the_first_iterations_and_low_rates_are_as_without():
    expected = voice()
    assert torch.equal(invert(expected, SHAPED, 10), invert(expected, MelConsistent(), 10))
    assert not torch.equal(invert(expected, SHAPED, 12), invert(expected, MelConsistent(), 12))
    assert (find_gain(noise()[None], 4000, 1.0) == 0).all()


@pytest.mark.parametrize("method", [MelConsistent().method, GriffinLim(0.99)])
def test_gradients_pass_and_batches_agree(method):
    phase = MelConsistent(method, time_structure=1.0)
    convention = preset("hifigan_22k")
    waveforms = torch.stack([voice(), clicks()])[:, :8192]
    mel = MelSpectrogram(convention).linear_mel(waveforms)
    one = solve_mel(phase, mel[:1], convention, 13).waveform
    torch.testing.assert_close(solve_mel(phase, mel, convention, 13).waveform[:1], one)
    mel = mel[:1].requires_grad_()
    solution = solve_mel(phase, mel, convention, 13, return_info=True, tolerance=1e-9)
    assert solution.history.shape == (13, 1)
    (gradient,) = torch.autograd.grad(solution.waveform.square().sum(), mel)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_what_it_cannot_be_combined_with():
    for method in (ADMM(), Then(GriffinLim(), GriffinLim(0.9), 0.5)):
        with pytest.raises(InputError, match="needs AcceleratedGriffinLim or GriffinLim"):
            MelConsistent(method, time_structure=1.0)
    with pytest.raises(InputError, match="time_structure"):
        MelConsistent(time_structure=3.0)
    assert MelConsistent(ADMM(), time_structure=0.0).cuda_graph_safe == ADMM().cuda_graph_safe
    assert not SHAPED.cuda_graph_safe
    assert solve_mel(SHAPED, torch.zeros(2, 16, 9), TINY, 12).waveform.shape[0] == 2
