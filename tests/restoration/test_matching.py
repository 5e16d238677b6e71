"""Matching to statistics: definitions, other conventions, real mels."""

from __future__ import annotations

import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels
from tests.restoration.smoothed import (
    CONVENTION,
    NAME,
    real,
    statistics,
)
from torchmelinv.errors import InputError
from torchmelinv.restoration import (
    MatchModulationSpectrum,
    MatchVariance,
    MelRestoration,
    match_modulation_spectrum,
    match_variance,
    mel_statistics,
)


def test_match_variance_gives_each_band_the_deviation():
    half = 0.5 * (real() - real().mean(-1, keepdim=True)) + real().mean(-1, keepdim=True)
    matched = match_variance(half, mel_statistics([real()], NAME))
    deviation = torch.tensor(statistics().band_deviation)
    ratio = matched.std(-1, correction=0) / deviation
    assert float(ratio.median()) == pytest.approx(1, abs=0.15)
    torch.testing.assert_close(match_variance(half, statistics(), 0.0), half)
    flat = torch.zeros(80, 20)
    assert torch.equal(match_variance(flat, statistics()), flat)


def test_match_modulation_spectrum_raises_fast_fluctuations():
    blurred = unsmoothed = mels.degrade(real(), "blurred", CONVENTION, blur=1.0)
    matched = match_modulation_spectrum(blurred, statistics())
    fast = [float(each.diff(n=2).std()) for each in (blurred, matched, real())]
    assert fast[0] < fast[1] < 1.2 * fast[2]
    again = match_modulation_spectrum(blurred, statistics(), 0.0)
    torch.testing.assert_close(again, unsmoothed, atol=1e-4, rtol=1e-4)


def test_matching_a_mel_to_statistics_of_its_kind_changes_little():
    crop = real()[:, :100]
    for restoration in (MatchVariance(statistics()), MatchModulationSpectrum(statistics())):
        changed = MelRestoration(NAME, restoration)(crop) - crop
        assert float(changed.square().mean().sqrt()) < 0.25


def test_refusals():
    with pytest.raises(InputError, match="statistics has type dict"):
        MatchVariance({})
    with pytest.raises(InputError, match=r"another convention: .*n_mels \(80 instead of 100\)"):
        tmi.MelInverter("vocos_24k", restore=MatchVariance(statistics()))
