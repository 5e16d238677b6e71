"""Inconsistency: agreement with librosa, signals and other spectra, silence, padded batches."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch

from tests.problems import PADDINGS, TINY, stft_convention, tones
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.metrics import (
    inconsistency_db,
    spectral_convergence_db,
    target_inconsistency_db,
)
from torchmelinv.transforms.stft import STFT


def test_librosas_transforms():
    """STFT of ISTFT of a random spectrum, both by librosa."""
    convention = stft_convention(n_fft=128, hop_length=32, padding="center_zero")
    spectrum = torch.randn(65, 41, dtype=torch.complex128)
    spectrum.imag[[0, -1]] = 0
    signal = librosa.istft(spectrum.numpy(), hop_length=32, n_fft=128, length=1280)
    consistent = librosa.stft(signal, hop_length=32, n_fft=128, pad_mode="constant")
    ratio = np.linalg.norm(consistent - spectrum.numpy()) / np.linalg.norm(spectrum)
    expected = 20 * math.log10(ratio)
    assert float(inconsistency_db(spectrum, convention)) == pytest.approx(expected, abs=1e-6)


def test_signals_are_consistent_and_zero_phases_are_not():
    spectrum = STFT(TINY).forward(tones(1600, (2,)))
    assert (inconsistency_db(spectrum, TINY) < -110).all()
    assert (inconsistency_db(spectrum.abs().to(spectrum.dtype), TINY) > -20).all()
    assert (inconsistency_db(torch.zeros_like(spectrum), TINY) == -300).all()


def test_target_inconsistency_is_below_spectral_convergence():
    """The projection of A e^{i∠X} is at least as near as X, which is one consistent spectrum."""
    stft = STFT(TINY.replace(padding="center_zero"))
    reference = tones(dtype=torch.float64)
    estimate = reference + 0.05 * torch.randn(reference.shape, dtype=torch.float64)
    target = stft(reference).abs()
    assert target_inconsistency_db(reference, target, stft.convention) < -250
    result = target_inconsistency_db(estimate, target, stft.convention)
    assert -60 < result < spectral_convergence_db(stft(estimate).abs(), target)
    with pytest.raises(InputError, match="must be equal"):
        target_inconsistency_db(estimate, target[:, 1:], stft.convention)


def test_silence():
    silence = torch.zeros(1600)
    assert target_inconsistency_db(silence, STFT(TINY)(silence).abs(), TINY) == -300


def test_a_convention_may_be_a_preset_or_a_file(tmp_path):
    waveform = tones(22050)
    spectrum = STFT("hifigan_22k")(waveform)
    path = tmp_path / "tiny.json"
    path.write_text(TINY.to_json(), encoding="utf-8")
    assert inconsistency_db(spectrum, "hifigan_22k", length=22050) < -110
    assert target_inconsistency_db(waveform, spectrum.abs(), "hifigan_22k") < -110
    assert target_inconsistency_db(waveform, STFT(TINY)(waveform).abs(), path) < -110
    for metric in (inconsistency_db, target_inconsistency_db):
        with pytest.raises(ConventionError, match="no preset"):
            metric(*[spectrum] * (1 if metric is inconsistency_db else 2), "hifigan")


@pytest.mark.parametrize("padding", PADDINGS)
def test_items_of_a_padded_batch_are_independent(padding):
    stft = STFT(TINY.replace(padding=padding))
    reference = tones(items=(3,))
    estimate = reference + 0.05 * torch.randn(reference.shape)
    lengths = torch.tensor([1600, 817, 544])
    for item, length in enumerate(lengths):
        estimate[item, length:] = math.nan
    target = stft(reference, lengths=lengths).abs()
    result = target_inconsistency_db(estimate, target, stft.convention, lengths=lengths)
    for item, length in enumerate(lengths.tolist()):
        item_target = stft(reference[item, :length]).abs()
        expected = target_inconsistency_db(estimate[item, :length], item_target, stft.convention)
        torch.testing.assert_close(result[item], expected)
