"""Projected-gradient NNLS against scipy's active set, by residual: the solution is not unique."""

from __future__ import annotations

import pytest
import scipy.optimize
import torch
from torch import Tensor

from tests.problems import tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset
from torchmelinv.magnitude.nnls import N_ITER, nnls
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.transforms.mel_filterbank import LinearMap, MelFilterbank


def relative_residuals(spectrum: Tensor, mel: Tensor, bank: MelFilterbank) -> Tensor:
    residual = bank.table @ spectrum.double() - mel.double()
    return residual.norm(dim=-2) / mel.double().norm(dim=-2)


@pytest.mark.parametrize("level", [1.0, 1e-4])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("noise", [0.0, 0.5])  # with noise, no spectrum has the mel
def test_the_residual_is_that_of_an_active_set_solver(power, level, noise):
    convention = preset("hifigan_22k", power=power, n_mels=40, n_fft=512)
    bank = MelFilterbank(convention)
    mel = level * MelSpectrogram(convention).linear_mel(tones(4000))
    mel = mel * (noise * torch.randn(mel.shape)).exp()
    spectrum = nnls(mel, bank)
    assert (spectrum >= 0).all()
    expected = [
        scipy.optimize.nnls(bank.table.numpy(), frame.double().numpy())[1] for frame in mel.T
    ]
    expected = torch.tensor(expected, dtype=torch.float64) / mel.double().norm(dim=-2)
    assert (relative_residuals(spectrum, mel, bank) - expected).max() <= 1e-6


def test_optimality_conditions_in_float64():
    bank = MelFilterbank(preset("hifigan_22k", n_mels=40, n_fft=512))
    mel = torch.rand(40, 6, dtype=torch.float64)  # rough: many bins end at zero
    spectrum = nnls(mel, bank)
    gradient = bank.adjoint(bank(spectrum) - mel)
    scale = bank.adjoint(mel).norm(dim=-2)
    assert (torch.where(spectrum > 0, gradient.abs(), 0) / scale).max() < 1e-3
    assert (gradient / scale).min() > -1e-3


@pytest.mark.parametrize("shape", [(12, 7), (5, 7)])
def test_any_matrix_and_any_signs(shape):
    matrix = torch.randn(shape, dtype=torch.float64)
    target = torch.randn(shape[0], 20, dtype=torch.float64)
    spectrum = nnls(target, LinearMap(matrix))
    expected = torch.tensor(
        [scipy.optimize.nnls(matrix.numpy(), column.numpy())[1] for column in target.T]
    )
    assert (spectrum >= 0).all()
    assert ((matrix @ spectrum - target).norm(dim=0) - expected).max() <= 1e-6


def test_zero_iterations_give_the_start_and_frames_that_stop_early_keep_their_result():
    bank = MelFilterbank(preset("hifigan_22k", n_mels=40, n_fft=512))
    mel = bank(torch.rand(2, bank.n_freqs, 5))
    torch.testing.assert_close(nnls(mel, bank, n_iter=0), pinv(mel, bank))
    both = torch.cat([mel, torch.rand(2, 40, 3)], -1)  # these need far more iterations
    torch.testing.assert_close(nnls(both, bank)[..., :5], nnls(mel, bank), atol=1e-5, rtol=1e-4)
    assert N_ITER >= 1000


def test_silence():
    bank = MelFilterbank(preset("hifigan_22k", n_mels=40, n_fft=512))
    assert (nnls(torch.zeros(40, 3), bank) == 0).all()
