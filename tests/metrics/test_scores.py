"""Scores are the single metrics, padded or not; the bootstrap interval is scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch

from tests.problems import TINY, TINY_POWER, tones
from torchmelinv import metrics
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.demo import signal
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.metrics import (
    METRICS,
    OPINION_METRICS,
    aligned_scores,
    bootstrap_mean,
    mel_scores,
    perceptual_scores,
    waveform_scores,
)


def pair(items: tuple[int, ...] = ()) -> tuple[torch.Tensor, torch.Tensor]:
    reference = tones(items=items)
    return reference + 0.05 * torch.randn(reference.shape), reference


@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
def test_scores_are_the_single_metrics(convention):
    mel_spectrogram = MelSpectrogram(convention)
    estimate, reference = pair()
    result = waveform_scores(estimate, reference, mel_spectrogram)
    mels = [mel_spectrogram.linear_mel(each) for each in (estimate, reference)]
    magnitude_mels = [mel.sqrt() if convention.power == 2 else mel for mel in mels]
    magnitudes = [mel_spectrogram.magnitude(each) for each in (estimate, reference)]
    expected = {
        "mel_error_db": metrics.mel_error_db(*mels),
        "log_mel_l1": metrics.log_mel_l1(*magnitude_mels),
        "mel_cepstral_distortion_db": metrics.mel_cepstral_distortion_db(*magnitude_mels),
        "smoothness": torch.tensor(0.0),  # fewer bands than the estimate needs
        "spectral_convergence_db": metrics.spectral_convergence_db(*magnitudes),
        "log_spectral_distance_db": metrics.log_spectral_distance_db(*magnitudes),
        "target_inconsistency_db": metrics.target_inconsistency_db(
            estimate, magnitudes[1], convention
        ),
        "si_sdr_db": metrics.si_sdr_db(estimate, reference),
        "envelope_correlation": metrics.envelope_correlation(*magnitudes),
    }
    assert list(result) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value, rtol=1e-5, atol=1e-5)
    of_mels = mel_scores(*mels, convention)
    assert of_mels == {name: result[name] for name in of_mels}
    assert waveform_scores(estimate, reference, convention) == result


def test_a_preset_name_is_a_convention():
    estimate, reference = pair()
    scores = waveform_scores(estimate, reference, "hifigan_22k")
    mels = [MelSpectrogram("hifigan_22k").linear_mel(each) for each in (estimate, reference)]
    assert mel_scores(*mels, "hifigan_22k")["log_mel_l1"] == scores["log_mel_l1"]
    with pytest.raises(ConventionError, match="no preset"):
        mel_scores(*mels, "hifigan")


def test_items_of_a_padded_batch_are_independent():
    estimate, reference = pair((3,))
    lengths = [1600, 1000, 333]
    for item, length in enumerate(lengths):
        estimate[item, length:] = math.nan
    result = waveform_scores(estimate, reference, TINY, lengths=torch.tensor(lengths))
    for item, length in enumerate(lengths):
        expected = waveform_scores(estimate[item, :length], reference[item, :length], TINY)
        for name, value in expected.items():
            torch.testing.assert_close(result[name][item], value, rtol=1e-4, atol=1e-4)


def test_silence_leaves_the_mean_of_a_batch_finite():
    estimate, reference = pair((4,))
    estimate[::2] = reference[:2] = 0
    for name, values in waveform_scores(estimate, reference, TINY).items():
        assert values.isfinite().all(), name


def test_every_metric_is_in_the_table():
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    reference = signal(1.0, TINY.sample_rate)
    estimate = 0.9 * reference
    result = perceptual_scores(estimate, reference, TINY.sample_rate)
    result |= waveform_scores(estimate, reference, TINY)
    result |= aligned_scores(estimate, reference, TINY)
    for metric in (metrics.f0_rmse_cents, metrics.gross_pitch_error, metrics.voicing_error):
        result[metric.__name__] = metric(estimate, reference, TINY.sample_rate)
    opinions = {f"{prefix}{name}" for name in OPINION_METRICS for prefix in ("", "reference_")}
    assert set(result) | opinions == set(METRICS)
    assert {name for name, value in result.items() if value > 4} == {"pesq_wb", "si_sdr_db"}


def test_more_noise_is_worse_in_the_direction_of_the_table():
    reference = tones()
    noise = torch.randn(reference.shape)
    little, much = (
        waveform_scores(reference + gain * noise, reference, TINY) for gain in (0.01, 0.1)
    )
    for name in little:
        assert (little[name] > much[name]) == METRICS[name].higher_is_better, name


def test_the_bootstrap_interval_is_scipys():
    values = np.random.RandomState(0).standard_normal(40) ** 2
    result = bootstrap_mean(values, resamples=20_000)
    interval = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=0
    ).confidence_interval
    # Each end is a percentile of 20 000 random means; its standard deviation is 2 % of theirs.
    tolerance = 0.1 * values.std() / math.sqrt(len(values))
    assert result[1:3] == pytest.approx(tuple(interval), abs=tolerance)
    assert result.mean == pytest.approx(values.mean())
    assert result.median == pytest.approx(np.median(values))
    assert result.n == 40


def test_the_bootstrap_interval_covers_the_mean():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        mean = bootstrap_mean(generator.normal(3, 1, 30), resamples=200)
        covered += mean.low <= 3 <= mean.high
    assert 85 <= covered <= 99


def test_the_order_and_values_that_are_not_finite_do_not_matter():
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


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="resamples is 0"):
        bootstrap_mean([1.0, 2.0], resamples=0)


def test_log_mels_are_refused():
    estimate, reference = (MelSpectrogram("hifigan_22k")(each) for each in pair())
    for metric in (metrics.mel_error_db, metrics.log_mel_l1, metrics.mel_cepstral_distortion_db):
        with pytest.raises(InputError, match="the mel has negative values; a linear mel has none"):
            metric(estimate, reference)
        with pytest.raises(InputError, match="the reference has negative values"):
            metric(estimate.exp(), reference)
    with pytest.raises(InputError, match=r"decompress\(mel, convention.level\)"):
        mel_scores(estimate, reference, "hifigan_22k")
