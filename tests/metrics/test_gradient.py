"""The sensitivity of a waveform: functions with a known Jacobian, and the inversion."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.metrics import gradient_norm


def test_known_jacobians():
    mel = 1 + torch.rand(3, 40, 50, dtype=torch.float64)
    # J = 1; ‖v‖ of 2000 samples is 2000^½ (1 ± 1 / 4000^½)
    mel_norm = torch.linalg.vector_norm(mel, dim=(-2, -1))
    identity = gradient_norm(lambda m: m.flatten(-2), mel) * mel_norm
    assert identity[0] == pytest.approx(2000**0.5, rel=0.05)
    matrix = torch.randn(2000, 2000, dtype=torch.float64)
    result = gradient_norm(lambda m: m.flatten(-2) @ matrix, mel)
    waveform_norm = torch.linalg.vector_norm(mel.flatten(-2) @ matrix, dim=-1)
    expected = torch.linalg.matrix_norm(matrix) / waveform_norm
    torch.testing.assert_close(result, expected, rtol=0.05, atol=0)
    torch.testing.assert_close(gradient_norm(lambda m: 7e5 * m.flatten(-2) @ matrix, mel), result)


def test_silence_and_no_gradient_are_zero():
    mel = torch.rand(2, 4, 5)
    assert (gradient_norm(lambda m: 0 * m.flatten(-2), mel) == 0).all()
    assert (gradient_norm(lambda m: m.detach().flatten(-2), mel) == 0).all()


def test_items_are_independent_and_the_mel_gets_no_gradient():
    mel = MelSpectrogram(TINY_LOG)(tones(640, (3,)))
    inverter = MelInverter(TINY_LOG, n_iter=4)
    with torch.no_grad():
        batch = gradient_norm(inverter, mel)
    torch.testing.assert_close(gradient_norm(inverter, mel[1]), batch[1])
    assert mel.grad is None
    assert torch.equal(gradient_norm(inverter, mel), batch)
    assert not torch.equal(gradient_norm(inverter, mel, seed=1), batch)
    # as in Lightning's validation, whose tensors autograd cannot save
    with torch.inference_mode():
        assert torch.equal(gradient_norm(inverter, mel.clone()), batch)


def test_the_noise_of_a_sample_does_not_depend_on_the_padding():
    mel = torch.rand(1, 50)
    padded = gradient_norm(lambda m: m.flatten(-2) * (torch.arange(50) < 20), mel)
    torch.testing.assert_close(padded, gradient_norm(lambda m: m.flatten(-2), mel[:, :20]))


def test_it_grows_with_momentum_and_iterations_but_not_with_a_detached_phase():
    """The README's advice on gradient modes."""
    mel = MelSpectrogram(TINY_LOG)(tones(1600, dtype=torch.float64))

    def sensitivity(n_iter, **options):
        return float(gradient_norm(MelInverter(TINY_LOG, n_iter=n_iter, **options), mel))

    assert sensitivity(32) > 3 * sensitivity(4)
    assert sensitivity(32, momentum=0.5) < sensitivity(32) / 1.5
    detached = {"gradient": "phase_detached"}
    assert sensitivity(32, **detached) < 1.2 * sensitivity(4, **detached)
    assert sensitivity(32, gradient=2) < sensitivity(32) / 2


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="must return waveforms"):
        gradient_norm(lambda m: m.sum(), torch.rand(2, 4, 5))
    with pytest.raises(InputError, match="mel"):
        gradient_norm(lambda m: m, torch.zeros(4, 5, dtype=torch.long))
    with pytest.raises(InputError, match="seed"):
        gradient_norm(lambda m: m.flatten(-2), torch.rand(4, 5), seed=0.5)
