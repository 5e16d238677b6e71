"""All metrics at once are those of the pieces, padded or not; means have intervals that scipy's bootstrap has, too."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from tests.problems import TINY, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.measure import distance, metrics
from torchmelinv.measure.scores import METRICS, bootstrap_mean, mel_scores, perceptual_scores, waveform_scores


def pair(items: tuple[int, ...] = ()) -> tuple[torch.Tensor, torch.Tensor]:
    reference = tones(items=items)
    return reference + 0.05 * torch.randn(reference.shape), reference


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_scores_are_those_of_the_pieces(convention):
    analyzer = MelAnalyzer(convention)
    estimate, reference = pair()
    found = waveform_scores(estimate, reference, analyzer)
    mels = [analyzer.linear(each) for each in (estimate, reference)]
    roots = [mel.sqrt() if convention.power == 2 else mel for mel in mels]
    magnitudes = [analyzer.frame.analyse(each).abs() for each in (estimate, reference)]
    expected = {
        "mel_error_db": distance.mel_error_db(*mels),
        "log_mel_l1": distance.log_mel_l1(*roots),
        "mel_cepstral_distortion_db": metrics.mel_cepstral_distortion_db(*roots),
        "spectral_convergence_db": distance.spectral_convergence_db(*magnitudes),
        "log_spectral_distance_db": metrics.log_spectral_distance_db(*magnitudes),
        "target_inconsistency_db": metrics.target_inconsistency_db(estimate, magnitudes[1], analyzer.frame),
        "si_sdr_db": metrics.si_sdr_db(estimate, reference),
        "envelope_correlation": metrics.envelope_correlation(*magnitudes),
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)
    alone = mel_scores(*mels, convention)
    assert alone == {name: found[name] for name in alone}


def test_padded_batches_are_items_alone():
    analyzer = MelAnalyzer(TINY)
    estimate, reference = pair((3,))
    lengths = [1600, 1000, 333]
    for item, own in enumerate(lengths):
        estimate[item, own:] = math.nan
    found = waveform_scores(estimate, reference, analyzer, lengths=torch.tensor(lengths))
    for item, own in enumerate(lengths):
        alone = waveform_scores(estimate[item, :own], reference[item, :own], analyzer)
        for name, value in alone.items():
            torch.testing.assert_close(found[name][item], value, rtol=1e-4, atol=1e-4)


def test_every_metric_is_in_the_table():
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    analyzer = MelAnalyzer(TINY)
    reference = signal(1.0, TINY.sample_rate)
    estimate = 0.9 * reference
    found = perceptual_scores(estimate, reference, TINY.sample_rate) | waveform_scores(estimate, reference, analyzer)
    assert set(found) == set(METRICS)
    assert {name for name, value in found.items() if value > 4} == {"pesq_wb", "si_sdr_db"}


def test_directions():
    """More noise is worse in the direction that the table says."""
    reference = tones()
    noise = torch.randn(reference.shape)
    little, much = (waveform_scores(reference + gain * noise, reference, MelAnalyzer(TINY)) for gain in (0.01, 0.1))
    for name in little:
        assert (little[name] > much[name]) == METRICS[name].higher_is_better, name


def test_bootstrap_is_scipys():
    values = np.random.RandomState(0).standard_normal(40) ** 2
    found = bootstrap_mean(values, resamples=20_000)
    interval = scipy.stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    # Each end is a percentile of 20 000 random means: its own deviation is 2 % of theirs.
    assert found[1:3] == pytest.approx(tuple(interval), abs=0.1 * values.std() / math.sqrt(len(values)))
    assert found.mean == pytest.approx(values.mean())
    assert found.median == pytest.approx(np.median(values))
    assert found.n == 40


def test_bootstrap_covers_the_mean():
    generator = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        found = bootstrap_mean(generator.normal(3, 1, 30), resamples=200)
        inside += found.low <= 3 <= found.high
    assert 85 <= inside <= 99


def test_bootstrap_is_the_same_in_any_order_and_leaves_out_what_is_not_finite():
    values = [float(value) ** 2 for value in range(12)]
    assert bootstrap_mean(values) == bootstrap_mean([math.nan, *reversed(values), -math.inf])
    assert bootstrap_mean(values) != bootstrap_mean(values, seed=1)


def test_few_values():
    assert bootstrap_mean([3.0])[0] == bootstrap_mean([3.0]).median == 3
    assert math.isnan(bootstrap_mean([3.0]).low)
    assert bootstrap_mean([3.0]).n == 1
    assert math.isnan(bootstrap_mean([math.inf]).mean)
    assert bootstrap_mean([]).n == 0
    assert bootstrap_mean([2.0, 2.0])[:4] == (2, 2, 2, 2)


def test_numbers_that_cannot_be():
    with pytest.raises(InputError, match="resamples is 0"):
        bootstrap_mean([1.0, 2.0], resamples=0)
