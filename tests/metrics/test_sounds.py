"""The scores of a sound are the single metrics; each fault shows in its own score."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import TINY, tones
from torchmelinv import metrics
from torchmelinv.errors import ConventionError
from torchmelinv.metrics import SOUND_METRICS, channel_scores, sound_scores


def pair(items: tuple[int, ...] = ()) -> tuple[torch.Tensor, torch.Tensor]:
    reference = tones(items=items)
    return reference + 0.05 * torch.randn(reference.shape), reference


def test_scores_are_the_single_metrics():
    estimate, reference = pair()
    result = sound_scores(estimate, reference, TINY)
    depths = metrics.pulse_depth(estimate, reference, 8000)
    ratios = metrics.harmonics_to_noise_db(estimate, reference, 8000)
    edges = metrics.edge_energy_db(estimate, reference, TINY)
    bands = metrics.band_level_db(estimate, reference, 8000)
    assert result == {
        "level_db": metrics.level_db(estimate, reference),
        "band_level_db": bands[bands.abs().argmax()],
        "lower_edge_db": edges[0],
        "upper_edge_db": edges[1],
        "tonal_line_db": metrics.tonal_line_db(estimate, reference, 8000),
        "hop_modulation_db": metrics.hop_modulation_db(estimate, reference, 32),
        "hop_fluctuation_db": metrics.hop_fluctuation_db(estimate, reference, 32),
        "periodicity": metrics.periodicity(estimate, reference, 128),
        "crest_factor_db": metrics.crest_factor_db(estimate, reference),
        "onset_slope_db": metrics.onset_slope_db(estimate, reference, 8000),
        "pre_echo_db": metrics.pre_echo_db(estimate, reference, 8000),
        "pulse_depth_2_khz": depths[0],
        "pulse_depth_4_khz": depths[1],
        "harmonics_to_noise_2_khz_db": ratios[0],
        "harmonics_to_noise_4_khz_db": ratios[1],
    }


def test_every_metric_is_in_the_table_and_0_at_equality():
    stereo = tones(items=(2,))
    result = sound_scores(stereo[0], stereo[0], TINY) | channel_scores(stereo, stereo)
    assert list(result) == list(SOUND_METRICS)
    assert not any(value.any() for value in result.values())
    assert all(metric.higher_is_better is None for metric in SOUND_METRICS.values())


def test_items_of_a_padded_batch_are_independent():
    estimate, reference = pair((3,))
    lengths = [1600, 1000, 333]
    for item, length in enumerate(lengths):
        estimate[item, length:] = math.nan
    result = sound_scores(estimate, reference, TINY, lengths=torch.tensor(lengths))
    for item, length in enumerate(lengths):
        expected = sound_scores(estimate[item, :length], reference[item, :length], TINY)
        for name, value in expected.items():
            torch.testing.assert_close(result[name][item], value, rtol=1e-3, atol=1e-3)


def test_float64_is_exact():
    estimate, reference = pair()
    single = sound_scores(estimate, reference, TINY)
    double = sound_scores(estimate.double(), reference.double(), TINY)
    for name, value in double.items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(single[name].double(), value, rtol=1e-3, atol=1e-3)


def test_a_wrong_convention_is_refused():
    with pytest.raises(ConventionError, match="no preset"):
        sound_scores(*pair(), "hifigan")
