"""Distances: known values, invariances, silence."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.metrics import log_mel_l1, mel_error_db, spectral_convergence_db
from torchmelinv.metrics.distance import (
    bounded_relative_error,
    mean_distance,
    mean_log_distance,
    relative_error,
)

REFERENCE = torch.rand(2, 3, 8, 5) + 0.1
METRICS = (log_mel_l1, mel_error_db, spectral_convergence_db)


@pytest.mark.parametrize("distance", [mel_error_db, spectral_convergence_db])
def test_decibels(distance):
    expected = torch.full((2, 3), -20.0)
    torch.testing.assert_close(distance(1.1 * REFERENCE, REFERENCE), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        distance(7 * REFERENCE, 6 * REFERENCE), distance(7e-5 * REFERENCE, 6e-5 * REFERENCE)
    )
    assert (distance(REFERENCE, REFERENCE) == -300).all()
    assert distance(torch.zeros(8, 5), torch.zeros(8, 5)) == -300
    assert distance(torch.ones(8, 5), torch.zeros(8, 5)) == 300
    assert distance(torch.full((8, 5), math.nan), torch.ones(8, 5)).isnan()
    for scale in (1e-30, 1e20):
        result = distance(1.1 * scale * REFERENCE, scale * REFERENCE)
        torch.testing.assert_close(result, expected, atol=1e-3, rtol=0)


def test_log_mel():
    torch.testing.assert_close(log_mel_l1(math.e * REFERENCE, REFERENCE), torch.ones(2, 3))
    assert log_mel_l1(torch.zeros(8, 5), torch.full((8, 5), 1e-6)) == 0
    assert mean_log_distance(torch.ones(8, 5), torch.zeros(8, 5), 1.0) == 0


def test_bounded_relative_error():
    estimate = REFERENCE * (1 + torch.rand(2, 3, 8, 5))
    expected = relative_error(estimate, REFERENCE)
    torch.testing.assert_close(bounded_relative_error(estimate, REFERENCE), expected)
    silence = torch.zeros(2, 3, 8, 5)
    assert (bounded_relative_error(silence, REFERENCE) == 1).all()
    assert (bounded_relative_error(silence, silence) == 0).all()
    largest = torch.full((2, 3), 100.0)
    torch.testing.assert_close(bounded_relative_error(REFERENCE, silence), largest)
    assert bounded_relative_error(torch.full((8, 5), math.nan), torch.ones(8, 5)).isnan()
    for scale in (1e-30, 1e20):
        result = bounded_relative_error(scale * estimate, scale * REFERENCE)
        torch.testing.assert_close(result, expected)


def test_mean_distance():
    estimate = REFERENCE + torch.randn(2, 3, 8, 5)
    difference = estimate - REFERENCE
    torch.testing.assert_close(mean_distance(estimate, REFERENCE), difference.abs().mean((-2, -1)))
    expected = difference.square().mean((-2, -1)).sqrt()
    torch.testing.assert_close(mean_distance(estimate, REFERENCE, 2), expected)
    large = mean_distance(1e30 * estimate, 1e30 * REFERENCE, 2)
    torch.testing.assert_close(large, 1e30 * expected)
    assert (mean_distance(REFERENCE, REFERENCE, 2) == 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_items_of_a_padded_batch_are_independent(metric):
    reference = torch.rand(3, 8, 40) + 0.1
    estimate = reference * (1 + torch.rand(3, 8, 40))
    lengths = [40, 17, 1]
    for item, length in enumerate(lengths):
        estimate[item, :, length:] = math.nan
        reference[item, :, length:] = 1e6
    estimate.requires_grad_()
    result = metric(estimate, reference, lengths=lengths)
    (gradient,) = torch.autograd.grad(result.sum(), estimate)
    for item, length in enumerate(lengths):
        alone = metric(estimate[item, :, :length], reference[item, :, :length])
        torch.testing.assert_close(result[item], alone)
        (expected,) = torch.autograd.grad(alone, estimate)
        torch.testing.assert_close(gradient[item], expected[item])
    assert gradient.isfinite().all()
    assert torch.equal(metric(estimate[:1], reference[:1], lengths=[40]), result[:1])


@pytest.mark.parametrize("metric", METRICS)
def test_wrong_lengths_and_empty_batches_are_refused(metric):
    for lengths in ([6, 5], [0, 5], [5], [5.0, 5.0]):
        with pytest.raises(InputError, match="lengths"):
            metric(REFERENCE[:, 0], REFERENCE[:, 0], lengths=lengths)
    for shape in ((5,), (0, 8, 5), (8, 0)):
        with pytest.raises(InputError, match=r"rows, n_frames\), and not empty"):
            metric(torch.ones(shape), torch.ones(shape))


def test_shapes_must_be_equal():
    with pytest.raises(InputError, match="must be equal"):
        mel_error_db(REFERENCE, REFERENCE[..., 1:])


def test_a_misspelled_option_names_the_nearest():
    with pytest.raises(InputError, match="log_mel_l1 has no option 'flor'; did you mean 'floor'"):
        log_mel_l1(REFERENCE, REFERENCE, flor=1e-3)
