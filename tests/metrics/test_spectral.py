"""Spectral metrics: librosa and other formulas, known values, silence, padded batches."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from tests.problems import TINY, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.metrics import (
    envelope_correlation,
    log_spectral_distance_db,
    mel_cepstral_distortion_db,
    spectral_convergence_db,
)
from torchmelinv.transforms.stft import STFT

METRICS = (log_spectral_distance_db, mel_cepstral_distortion_db, envelope_correlation)


def pair(
    items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a waveform with noise and without, (*items, 1600)."""
    reference = tones(items=items, dtype=dtype)
    return reference + 0.05 * torch.randn(reference.shape, dtype=dtype), reference


def magnitudes(
    items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    return [STFT(TINY).forward(each).abs() for each in pair(items, dtype)]


# Agreement


def test_torch_specinv_formulas():
    """Its SC, and its SER, whose input is the reference."""
    estimate, reference = magnitudes(dtype=torch.float64)
    convergence = 20 * ((estimate - reference).norm().log10() - reference.norm().log10())
    ser = 10 * (reference.square().sum().log10() - (reference - estimate).square().sum().log10())
    torch.testing.assert_close(spectral_convergence_db(estimate, reference), convergence)
    torch.testing.assert_close(-spectral_convergence_db(estimate, reference), ser)


def test_log_spectral_distance_of_librosas_decibels():
    estimate, reference = magnitudes(dtype=torch.float64)
    estimate[:, 3] = 0  # clamped
    peak = float(reference.max())
    decibels = [
        librosa.amplitude_to_db(each.numpy(), ref=peak, amin=1e-4 * peak, top_db=None)
        for each in (estimate, reference)
    ]
    expected = np.sqrt(np.mean((decibels[0] - decibels[1]) ** 2, 0)).mean()
    assert float(log_spectral_distance_db(estimate, reference)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n_cepstra", [1, 5, 15, 40])
def test_mel_cepstral_distortion_of_librosas_cepstra(n_cepstra):
    estimate, reference = map(MelSpectrogram(TINY).linear_mel, pair(dtype=torch.float64))
    floor = 1e-4 * float(reference.max())
    # Orthonormal cepstra are √(K / 2) times as large; the first is the level.
    cepstra = [
        math.sqrt(2 / 16)
        * librosa.feature.mfcc(S=np.log(np.maximum(mel.numpy(), floor)), n_mfcc=16, norm="ortho")
        for mel in (estimate, reference)
    ]
    difference = (cepstra[0] - cepstra[1])[1 : n_cepstra + 1]
    expected = 10 * math.sqrt(2) / math.log(10) * np.sqrt(np.sum(difference**2, 0)).mean()
    result = mel_cepstral_distortion_db(estimate, reference, n_cepstra=n_cepstra)
    assert float(result) == pytest.approx(expected, abs=1e-9)


def test_all_cepstra_give_the_log_spectral_distance_without_the_level():
    """Parseval's theorem, the reason for the factor with this scale of cepstra."""
    estimate, reference = (0.5 + torch.rand(16, 1, dtype=torch.float64) for _ in range(2))
    estimate = estimate * (reference.log().mean() - estimate.log().mean()).exp()
    distance = log_spectral_distance_db(estimate, reference)
    torch.testing.assert_close(mel_cepstral_distortion_db(estimate, reference), distance)
    assert mel_cepstral_distortion_db(2 * reference, reference) < 1e-12


def test_envelope_correlation_is_numpys():
    estimate, reference = magnitudes(dtype=torch.float64)
    envelopes = np.linalg.norm(estimate, axis=0), np.linalg.norm(reference, axis=0)
    expected = np.corrcoef(*envelopes)[0, 1]
    assert float(envelope_correlation(estimate, reference)) == pytest.approx(expected, abs=1e-12)
    inverted = reference.amax() - reference[:1]
    assert float(envelope_correlation(inverted, reference[:1])) == pytest.approx(-1)


# Known values


@pytest.mark.parametrize("metric", METRICS)
def test_scaling_both_changes_nothing(metric):
    estimate, reference = magnitudes((2,))
    expected = metric(estimate, reference)
    assert expected.shape == (2,)
    assert (expected > 0.1).all()
    for scale in (1e-25, 1e25):
        result = metric(scale * estimate, scale * reference)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_equality_and_silence():
    _, reference = magnitudes()
    silence = torch.zeros_like(reference)
    for metric in (log_spectral_distance_db, mel_cepstral_distortion_db):
        assert metric(reference, reference) == 0
        assert metric(silence, silence) == 0
        assert metric(reference, silence) == 300
        assert 0 < metric(silence, reference) < 80
    assert envelope_correlation(reference, reference) == pytest.approx(1)
    assert envelope_correlation(silence, reference) == 0
    assert envelope_correlation(silence, silence) == 1
    assert envelope_correlation(torch.ones(4, 1000), 0.3 * torch.ones(4, 1000)) == 1


def test_nan_stays_nan():
    _, reference = magnitudes()
    for metric in METRICS:
        assert metric(torch.full_like(reference, math.nan), reference).isnan()


# Inputs


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    estimate, reference = magnitudes((2, 2))
    lengths = torch.tensor([[51, 20], [1, 40]])
    estimate[0, 1, :, 20:] = math.nan
    reference[1, 1, :, 40:] = 1e6
    result = metric(estimate, reference, lengths=lengths)
    for item in np.ndindex(2, 2):
        length = int(lengths[item])
        expected = metric(estimate[item][:, :length], reference[item][:, :length])
        torch.testing.assert_close(result[item], expected)


def test_precisions_and_gradients():
    estimate, reference = magnitudes()
    for metric in METRICS:
        assert metric(estimate.double(), reference.double()).dtype == torch.float64
        assert metric(estimate.half(), reference.half()).dtype == torch.float32
        assert not metric(estimate.requires_grad_(), reference).requires_grad
        expected = metric(estimate.detach(), reference)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(metric(estimate, reference), expected)


@pytest.mark.parametrize(
    ("metric", "shapes"),
    [
        (log_spectral_distance_db, ((5,), (5,))),
        (envelope_correlation, ((3, 4), (3, 5))),
        (mel_cepstral_distortion_db, ((2, 0), (2, 0))),
    ],
)
def test_wrong_or_empty_shapes_are_refused(metric, shapes):
    with pytest.raises(InputError, match=r"rows, n_frames\), and not empty"):
        metric(*(torch.ones(shape) for shape in shapes))


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="n_cepstra is 0"):
        mel_cepstral_distortion_db(torch.ones(4, 4), torch.ones(4, 4), n_cepstra=0)
    with pytest.raises(InputError, match="did you mean 'range_db'"):
        log_spectral_distance_db(torch.ones(4, 4), torch.ones(4, 4), range=60)


@pytest.mark.gpu
def test_on_a_gpu():
    estimate, reference = magnitudes((2,))
    for metric in METRICS:
        expected = metric(estimate, reference, lengths=[51, 30])
        lengths = torch.tensor([51, 30], device="cuda")
        result = metric(estimate.cuda(), reference.cuda(), lengths=lengths)
        torch.testing.assert_close(result.cpu(), expected, rtol=1e-4, atol=1e-4)
