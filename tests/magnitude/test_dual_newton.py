"""The entropic and the least-distance inverse: the mel is met, or the optimum; exact gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from tests.shared import needs_audio, speech_clips
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import preset
from torchmelinv.io.audio import read_audio
from torchmelinv.io.resample import resample
from torchmelinv.magnitude.dual_newton import HARD_RESIDUAL, SOFT_RHO
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.magnitude.least_distance import least_distance, least_distance_solve
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank

SOLVERS = [entropic_solve, least_distance_solve]
NAMED_BANKS = [
    "hifigan_22k",
    "vocos_24k",
    "librosa_melspectrogram",
    "whisper_128",
    "torchaudio_melspectrogram",
]


def relative_residual(spectrum: Tensor, mel: Tensor, bank: MelFilterbank) -> Tensor:
    """Return ‖Ms − m‖ / ‖m‖ of each frame in float64; 0 for a silent frame."""
    error = (bank.table @ spectrum.double() - mel.double()).norm(dim=-2)
    return torch.where(error > 0, error / mel.double().norm(dim=-2), 0)


@pytest.mark.parametrize(
    ("solve", "met", "worst"), [(entropic_solve, 1.0, 1e-5), (least_distance_solve, 0.95, 2e-2)]
)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("level", [1.0, 1e-8, 1e8])
def test_mels_that_some_spectrum_has_are_met(convention, solve, met, worst, level):
    bank = MelFilterbank(convention)
    mel = level * MelSpectrogram(convention).linear_mel(tones(1600, (2,)))
    solution = solve(mel, bank)
    residual = relative_residual(solution.spectrum, mel, bank)
    assert (residual <= 1e-5).double().mean() >= met
    assert residual.max() <= worst
    torch.testing.assert_close(solution.residual.double(), residual, atol=2e-6, rtol=0.1)
    assert solution.converged.double().mean() >= met
    assert (solution.spectrum >= 0).all()


@needs_audio
@pytest.mark.parametrize("name", NAMED_BANKS)
def test_entropic_meets_every_speech_clip_frame_by_frame(name):
    convention = preset(name)
    mel_spectrogram, bank = MelSpectrogram(convention), MelFilterbank(convention)
    for clip in speech_clips():
        waveform, rate = read_audio(clip)
        waveform = resample(waveform[:, : int(3 * rate)], rate, convention.sample_rate).mean(0)
        mel = mel_spectrogram.linear_mel(waveform)
        assert relative_residual(entropic(mel, bank), mel, bank).max() <= 1e-5, clip.name


@pytest.mark.slow
@needs_audio
@pytest.mark.parametrize("name", NAMED_BANKS)
def test_entropic_meets_the_whole_of_every_speech_clip(name):
    convention = preset(name)
    mel_spectrogram, bank = MelSpectrogram(convention), MelFilterbank(convention)
    for clip in speech_clips():
        waveform, rate = read_audio(clip)
        waveform = resample(waveform, rate, convention.sample_rate).mean(0)
        for gain in (1.0, 1e-4):
            mel = mel_spectrogram.linear_mel(gain * waveform)
            assert relative_residual(entropic(mel, bank), mel, bank).max() <= 1e-5, clip.name


def impossible_mel(convention: MelConvention, kind: str, dtype: torch.dtype) -> Tensor:
    """Return a mel that no spectrum has."""
    mel = MelSpectrogram(convention).linear_mel(tones(1600, (2,), dtype))
    if kind == "noisy":
        return mel * (0.5 * torch.randn(mel.shape, dtype=dtype)).exp()
    if kind == "floored":
        return mel.clamp(min=float(mel.mean()))
    mel[..., 5:8, :] = 0
    return mel


@pytest.mark.parametrize(("solve", "most"), [(entropic_solve, 0.95), (least_distance_solve, 0.85)])
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("kind", ["noisy", "floored", "holes"])
def test_impossible_mels_give_the_regularized_optimum(convention, kind, solve, most):
    bank = MelFilterbank(convention)
    mel = impossible_mel(convention, kind, torch.float64)
    exact, single = solve(mel, bank), solve(mel.float(), bank)
    assert single.spectrum.isfinite().all()
    residual = relative_residual(single.spectrum, mel, bank)
    torch.testing.assert_close(single.residual.double(), residual, atol=1e-5, rtol=1e-3)
    assert exact.converged.double().mean() > most
    # The optimum is unique, so float32 and float64 must agree on its residual.
    agree = (single.residual.double() - exact.residual).abs() <= 0.02 * exact.residual + 2e-4
    assert agree.double().mean() > most
    # Some spectrum still has a floored mel.
    assert kind == "floored" or (exact.residual > HARD_RESIDUAL).any()


def objective(spectrum: Tensor, mel: Tensor, prior: Tensor, bank: MelFilterbank) -> Tensor:
    """Return ½ ‖s − z‖² + ‖M s − m‖² / (2 ρ) of each frame, filters scaled to a peak of 1."""
    peak = bank.table.amax(1, keepdim=True)
    peak = torch.where(peak > 0, peak, 1)
    error = ((bank(spectrum) - mel) / peak)[bank.table.sum(1) > 0]
    return 0.5 * (spectrum - prior).square().sum(-2) + error.square().sum(-2) / (2 * SOFT_RHO)


def test_least_distance_is_least():
    bank = MelFilterbank(TINY)
    mel = impossible_mel(TINY, "noisy", torch.float64)[0]
    solution = least_distance_solve(mel, bank)
    soft = solution.residual > HARD_RESIDUAL
    assert soft.any()
    prior = transpose(mel, bank)
    best = objective(solution.spectrum, mel, prior, bank)
    for _ in range(50):
        other = (solution.spectrum + 1e-3 * torch.randn_like(prior) * prior.mean()).relu()
        assert (objective(other, mel, prior, bank) >= best)[soft].all()


def test_a_prior_that_has_the_mel_is_the_solution_and_its_zeros_stay():
    bank = MelFilterbank(TINY)
    spectrum = torch.rand(bank.n_freqs, 4, dtype=torch.float64) + 0.1
    spectrum[10] = 0
    torch.testing.assert_close(entropic(bank(spectrum), bank, prior=spectrum), spectrum)
    torch.testing.assert_close(least_distance(bank(spectrum), bank, prior=spectrum), spectrum)


def test_dense_filterbanks():
    generator = torch.Generator().manual_seed(0)
    bank = MelFilterbank(torch.rand(6, 30, generator=generator))
    assert not bank.is_tridiagonal
    mel = bank(torch.rand(2, 30, 4, generator=generator))
    for solve in SOLVERS:
        assert relative_residual(solve(mel, bank).spectrum, mel, bank).max() <= 1e-5


@pytest.mark.parametrize("function", [entropic, least_distance])
@pytest.mark.parametrize(
    "convention",
    [TINY.replace(n_fft=32, n_mels=5), DEFICIENT, TINY_POWER.replace(n_fft=32, n_mels=5)],
)
def test_gradients(function, convention):
    bank = MelFilterbank(convention)
    spectrum = torch.rand(bank.n_freqs, 2, dtype=torch.float64) + 0.2
    mel = bank(spectrum).requires_grad_()
    if convention is DEFICIENT:  # only steps within the possible mels are smooth
        assert torch.autograd.gradcheck(
            lambda s: function(bank(s), bank), spectrum.requires_grad_(), eps=1e-5, atol=1e-4
        )
    else:
        assert torch.autograd.gradcheck(lambda m: function(m, bank), mel, eps=1e-6, atol=1e-4)
        prior = (transpose(mel, bank).detach() + 0.1).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda z: function(mel.detach(), bank, z), prior, eps=1e-6, atol=1e-4
        )


def test_gradients_at_the_regularized_optimum():
    bank = MelFilterbank(TINY.replace(n_fft=64, n_mels=8))
    mel = torch.rand(8, 4, dtype=torch.float64) + 0.5
    mel[::2] *= 1e-3  # quieter than the leakage of the loud bands beside them
    assert (entropic_solve(mel, bank).residual > HARD_RESIDUAL).all()
    assert torch.autograd.gradcheck(
        lambda m: entropic(m, bank), mel.requires_grad_(), eps=1e-6, atol=1e-4
    )


def test_silent_frames_are_silent_with_finite_gradients():
    bank = MelFilterbank(TINY)
    mel = torch.zeros(16, 3)
    mel[:, 1] = torch.rand(16)
    mel.requires_grad_()
    for function in (entropic, least_distance):
        result = function(mel, bank)
        assert (result[:, [0, 2]] == 0).all()
        (gradient,) = torch.autograd.grad(result.sum(), mel)
        assert gradient.isfinite().all()
