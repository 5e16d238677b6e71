"""Statistics of real mels: stored, weighted, refused if malformed."""

from __future__ import annotations

import math

import pytest
import torch

import torchmelinv as tmi
from tests.restoration.smoothed import (
    NAME,
    real,
    statistics,
)
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.restoration import (
    MatchVariance,
    MelStatistics,
    mel_statistics,
)


def test_statistics_are_stored_and_merged(tmp_path):
    again = MelStatistics.from_json(statistics().to_json())
    assert again == statistics()
    assert repr(again) == repr(statistics())
    both = mel_statistics([real(), real()], NAME)
    assert both.n_frames == 2 * statistics().n_frames
    silent = torch.full((80, 300), -11.5)
    assert mel_statistics([real(), silent], NAME) == statistics()
    assert both.band_mean == pytest.approx(statistics().band_mean)
    assert repr(both) != repr(statistics())
    assert len(repr(tmi.MelInverter(NAME, restore=MatchVariance(both)))) < 5000


def test_refusals():
    with pytest.raises(InputError, match="there are 0 frames that are no pauses"):
        mel_statistics([], NAME)
    with pytest.raises(ConventionError, match="band_deviation"):
        MelStatistics.from_dict({**statistics().to_dict(), "band_deviation": [1.0]})
    for rows in ([[1.0]], [1.0], [["a"]], {"a": 1}, None, "rows"):
        with pytest.raises(ConventionError, match="modulation_power"):
            MelStatistics.from_dict({**statistics().to_dict(), "modulation_power": rows})
    for field in ("band_mean", "band_deviation", "convention", "n_frames"):
        with pytest.raises(ConventionError, match=field):
            MelStatistics.from_dict({**statistics().to_dict(), field: None})
    with pytest.raises(InputError, match="NaN"):
        mel_statistics([torch.where(torch.rand(80, 90) > 0.5, real()[:, :90], math.nan)], NAME)
