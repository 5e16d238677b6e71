"""The entropic inverse: the envelope times an exponential of the filters, and nearest to it."""

from __future__ import annotations

import torch

from tests.problems import TINY, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.magnitude.transpose import transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank


def test_stationarity():
    """log(s / z) = Mᵀλ is in the span of the filters."""
    bank = MelFilterbank(TINY)
    mel = MelSpectrogram(TINY).linear_mel(tones(1600, dtype=torch.float64))
    prior = transpose(mel, bank)
    covered = (bank.table.sum(0) > 0).nonzero().flatten()
    logarithm = (entropic(mel, bank) / prior)[covered].log()
    filters = bank.table[:, covered].T
    multiplier = torch.linalg.lstsq(filters, logarithm).solution
    torch.testing.assert_close(filters @ multiplier, logarithm, atol=1e-7, rtol=1e-6)


def test_no_other_spectrum_with_the_mel_is_nearer_to_the_envelope():
    bank = MelFilterbank(TINY)
    mel = MelSpectrogram(TINY).linear_mel(tones(1600, dtype=torch.float64))
    prior, result = transpose(mel, bank), entropic(mel, bank)

    def divergence(spectrum):
        return (
            torch.special.xlogy(spectrum, spectrum / prior.clamp(min=1e-300)).sum(-2)
            - spectrum.sum(-2)
            + prior.sum(-2)
        )

    for _ in range(20):
        direction = torch.randn_like(result)
        direction = direction - bank.pinv(bank(direction))  # does not change the mel
        direction[bank.table.sum(0) == 0] = 0
        move = 0.1 * (result / direction.abs().clamp(min=1e-12)).amin(-2)
        other = result + move * direction
        assert (divergence(other) >= divergence(result) - 1e-9).all()
