"""Metrics: agreement with librosa, scipy and the formulas of others, known answers, silence, padded batches."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from tests.problems import PADDINGS, TINY, frame_convention, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.measure.distance import spectral_convergence_db
from torchmelinv.measure.metrics import (
    envelope_correlation,
    inconsistency_db,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    si_sdr_db,
    target_inconsistency_db,
)

FRAME = Frame(TINY)
MATRICES = (log_spectral_distance_db, mel_cepstral_distortion_db, envelope_correlation)


def pair(items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """A waveform with noise and without, (*items, 1600)."""
    reference = tones(items=items, dtype=dtype)
    return reference + 0.05 * torch.randn(reference.shape, dtype=dtype), reference


def magnitudes(items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [FRAME.analyse(each).abs() for each in pair(items, dtype)]


# Agreement


def test_torch_specinv():
    """Its three metrics, as formulas: SC, SER (of the reference as input), and SNR, which for unit vectors is 2 − 2 cos."""
    estimate, reference = magnitudes(dtype=torch.float64)
    convergence = 20 * ((estimate - reference).norm().log10() - reference.norm().log10())
    ser = 10 * (reference.square().sum().log10() - (reference - estimate).square().sum().log10())
    torch.testing.assert_close(spectral_convergence_db(estimate, reference), convergence)
    torch.testing.assert_close(-spectral_convergence_db(estimate, reference), ser)
    snr = -10 * (estimate / estimate.norm() - reference / reference.norm()).square().sum().log10()
    cosine = 1 - 10 ** (-snr / 10) / 2
    expected = 10 * torch.log10(cosine**2 / (1 - cosine**2))
    torch.testing.assert_close(si_sdr_db(estimate.flatten(), reference.flatten()), expected)


def test_log_spectral_distance_is_librosas_decibels():
    estimate, reference = magnitudes(dtype=torch.float64)
    estimate[:, 3] = 0  # the clamp acts
    peak = float(reference.max())
    decibels = [librosa.amplitude_to_db(each.numpy(), ref=peak, amin=1e-4 * peak, top_db=None) for each in (estimate, reference)]
    expected = np.sqrt(np.mean((decibels[0] - decibels[1]) ** 2, 0)).mean()
    assert float(log_spectral_distance_db(estimate, reference)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n_cepstra", [1, 5, 15, 40])
def test_mel_cepstral_distortion_is_of_librosas_cepstra(n_cepstra):
    analyzer = MelAnalyzer(TINY)
    estimate, reference = (analyzer.linear(each) for each in pair(dtype=torch.float64))
    logs = [np.log(np.maximum(each.numpy(), 1e-4 * float(reference.max()))) for each in (estimate, reference)]
    # Orthonormal cepstra are √(K / 2) times as large; the first is the level.
    cepstra = [math.sqrt(2 / 16) * librosa.feature.mfcc(S=each, n_mfcc=16, norm="ortho")[1 : n_cepstra + 1] for each in logs]
    expected = 10 * math.sqrt(2) / math.log(10) * np.sqrt(np.sum((cepstra[0] - cepstra[1]) ** 2, 0)).mean()
    found = mel_cepstral_distortion_db(estimate, reference, n_cepstra=n_cepstra)
    assert float(found) == pytest.approx(expected, abs=1e-9)


def test_all_cepstra_are_the_log_spectral_distance_without_the_level():
    """Parseval: why the factor goes with this scale of cepstra."""
    estimate, reference = (0.5 + torch.rand(16, 1, dtype=torch.float64) for _ in range(2))
    estimate = estimate * (reference.log().mean() - estimate.log().mean()).exp()
    distance = log_spectral_distance_db(estimate, reference)
    torch.testing.assert_close(mel_cepstral_distortion_db(estimate, reference), distance)
    assert mel_cepstral_distortion_db(2 * reference, reference) < 1e-12


def test_si_sdr_is_torchmetrics():
    estimate, reference = pair((3,), torch.float64)
    eps = torch.finfo(torch.float64).eps
    alpha = ((estimate * reference).sum(-1, keepdim=True) + eps) / (reference.square().sum(-1, keepdim=True) + eps)
    target = alpha * reference
    ratio = (target.square().sum(-1) + eps) / ((target - estimate).square().sum(-1) + eps)
    torch.testing.assert_close(si_sdr_db(estimate, reference), 10 * ratio.log10())


def test_envelope_correlation_is_numpys():
    estimate, reference = magnitudes(dtype=torch.float64)
    expected = np.corrcoef(np.linalg.norm(estimate, axis=0), np.linalg.norm(reference, axis=0))[0, 1]
    assert float(envelope_correlation(estimate, reference)) == pytest.approx(expected, abs=1e-12)
    assert float(envelope_correlation(reference.amax() - reference[:1], reference[:1])) == pytest.approx(-1)


def test_inconsistency_is_librosas():
    """STFT of ISTFT of a random spectrum, both by librosa."""
    convention = frame_convention(n_fft=128, hop_length=32, padding="center_zero")
    spectrum = torch.randn(65, 41, dtype=torch.complex128)
    spectrum.imag[[0, -1]] = 0
    signal = librosa.istft(spectrum.numpy(), hop_length=32, n_fft=128, length=1280)
    back = librosa.stft(signal, hop_length=32, n_fft=128, pad_mode="constant")
    expected = 20 * math.log10(np.linalg.norm(back - spectrum.numpy()) / np.linalg.norm(spectrum))
    assert float(inconsistency_db(spectrum, convention)) == pytest.approx(expected, abs=1e-6)


# Meaning


def test_inconsistency_of_signals_and_of_none():
    spectrum = FRAME.analyse(tones(1600, (2,)))
    assert (inconsistency_db(spectrum, TINY) < -110).all()
    assert (inconsistency_db(spectrum.abs().to(spectrum.dtype), TINY) > -20).all()
    assert (inconsistency_db(torch.zeros_like(spectrum), TINY) == -300).all()


def test_target_inconsistency_lies_below_spectral_convergence():
    """The projection of A e^{i∠X} is nearer than X itself, which is one of the signals that it could be."""
    frame = Frame(TINY.replace(padding="center_zero"))
    estimate, reference = pair(dtype=torch.float64)
    target = frame.analyse(reference).abs()
    assert target_inconsistency_db(reference, target, frame) < -250
    found = target_inconsistency_db(estimate, target, frame)
    assert -60 < found < spectral_convergence_db(frame.analyse(estimate).abs(), target)
    with pytest.raises(InputError, match="must be equal"):
        target_inconsistency_db(estimate, target[:, 1:], frame)


@pytest.mark.parametrize("metric", MATRICES)
def test_scale_does_not_matter(metric):
    estimate, reference = magnitudes((2,))
    expected = metric(estimate, reference)
    assert expected.shape == (2,)
    assert (expected > 0.1).all()
    for scale in (1e-25, 1e25):
        torch.testing.assert_close(metric(scale * estimate, scale * reference), expected, rtol=1e-4, atol=1e-5)


def test_si_sdr_knows_no_scale_of_either():
    estimate, reference = pair((2,))
    expected = si_sdr_db(estimate, reference)
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(si_sdr_db(scale * estimate, reference / scale), expected, rtol=1e-4, atol=1e-4)


def test_equal_and_silent():
    _, reference = magnitudes()
    silence = torch.zeros_like(reference)
    for metric in (log_spectral_distance_db, mel_cepstral_distortion_db):
        assert metric(reference, reference) == 0
        assert metric(silence, silence) == 0
        assert metric(reference, silence) == math.inf
        assert 0 < metric(silence, reference) < 80
    assert envelope_correlation(reference, reference) == pytest.approx(1)
    assert envelope_correlation(silence, reference) == 0
    assert envelope_correlation(silence, silence) == 1
    assert envelope_correlation(torch.ones(4, 1000), 0.3 * torch.ones(4, 1000)) == 1
    signal = tones()
    assert si_sdr_db(signal, signal) > 100
    assert si_sdr_db(0 * signal, 0 * signal) == 300
    assert si_sdr_db(0 * signal, signal) == si_sdr_db(signal, 0 * signal) == -math.inf
    assert target_inconsistency_db(0 * signal, silence, FRAME) == -300


def test_nan_stays_nan():
    _, reference = magnitudes()
    for metric in MATRICES:
        assert metric(torch.full_like(reference, math.nan), reference).isnan()
    assert si_sdr_db(torch.full((9,), math.nan), torch.ones(9)).isnan()


# Padded batches


@pytest.mark.parametrize("metric", MATRICES)
def test_padded_matrices_are_items_alone(metric):
    estimate, reference = magnitudes((2, 2))
    lengths = torch.tensor([[51, 20], [1, 40]])
    estimate[0, 1, :, 20:] = math.nan
    reference[1, 1, :, 40:] = 1e6
    found = metric(estimate, reference, lengths=lengths)
    for item in np.ndindex(2, 2):
        own = int(lengths[item])
        torch.testing.assert_close(found[item], metric(estimate[item][:, :own], reference[item][:, :own]))


@pytest.mark.parametrize("padding", PADDINGS)
def test_padded_waveforms_are_items_alone(padding):
    frame = Frame(TINY.replace(padding=padding))
    estimate, reference = pair((3,))
    lengths = torch.tensor([1600, 817, 544])
    for item, own in enumerate(lengths):
        estimate[item, own:] = math.nan
    target = frame.analyse(reference, lengths).abs()
    consistency = target_inconsistency_db(estimate, target, frame, lengths=lengths)
    distortion = si_sdr_db(estimate, reference, lengths=lengths)
    for item, own in enumerate(lengths.tolist()):
        alone = frame.analyse(reference[item, :own]).abs()
        torch.testing.assert_close(consistency[item], target_inconsistency_db(estimate[item, :own], alone, frame))
        torch.testing.assert_close(distortion[item], si_sdr_db(estimate[item, :own], reference[item, :own]))


# What comes


def test_precisions_and_gradients():
    estimate, reference = magnitudes()
    for metric in MATRICES:
        assert metric(estimate.double(), reference.double()).dtype == torch.float64
        assert metric(estimate.half(), reference.half()).dtype == torch.float32
        assert not metric(estimate.requires_grad_(), reference).requires_grad
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(metric(estimate, reference), metric(estimate.detach(), reference), rtol=0, atol=0)


@pytest.mark.parametrize(("metric", "shapes"), [
    (si_sdr_db, ((5,), (6,))), (si_sdr_db, ((), ())), (si_sdr_db, ((0,), (0,))), (log_spectral_distance_db, ((5,), (5,))),
    (envelope_correlation, ((3, 4), (3, 5))), (mel_cepstral_distortion_db, ((2, 0), (2, 0))),
])
def test_shapes_that_do_not_fit(metric, shapes):
    with pytest.raises(InputError, match="and its reference have the shapes"):
        metric(*(torch.ones(shape) for shape in shapes))


def test_numbers_that_cannot_be():
    with pytest.raises(InputError, match="n_cepstra is 0"):
        mel_cepstral_distortion_db(torch.ones(4, 4), torch.ones(4, 4), n_cepstra=0)
    with pytest.raises(InputError, match="lengths"):
        si_sdr_db(torch.ones(2, 9), torch.ones(2, 9), lengths=[9, 0])


@pytest.mark.gpu
def test_on_a_gpu():
    estimate, reference = magnitudes((2,))
    for metric in MATRICES:
        expected = metric(estimate, reference, lengths=[51, 30])
        found = metric(estimate.cuda(), reference.cuda(), lengths=torch.tensor([51, 30], device="cuda"))
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-4, atol=1e-4)
