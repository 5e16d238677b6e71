"""Checks of estimate and reference: shapes, devices, lengths, padding."""

from __future__ import annotations

import inspect
import math

import pytest
import torch

from torchmelinv import metrics
from torchmelinv.errors import InputError
from torchmelinv.metrics.checks import check_pair, mask_padding


def test_half_precision_becomes_float32_and_float64_stays():
    estimate, reference = check_pair(torch.ones(3).half(), torch.ones(3).double())
    assert estimate.dtype == torch.float32
    assert reference.dtype == torch.float64


def test_different_shapes_are_refused():
    with pytest.raises(
        InputError, match=r"shape \(3,\) on cpu and reference \(4,\).*must be equal"
    ):
        check_pair(torch.ones(3), torch.ones(4))
    with pytest.raises(InputError, match="must be equal as mels"):
        check_pair(torch.ones(3), torch.ones(4), " as mels")


def test_padding_becomes_zero():
    estimate = torch.full((2, 3, 5), math.nan)
    estimate[0] = 1
    estimate[1, :, :2] = 1
    estimate, reference, counts = mask_padding(estimate, torch.ones(2, 3, 5), [5, 2], 2)
    assert counts.tolist() == [5, 2]
    assert torch.equal(estimate, reference)
    assert reference.sum((-2, -1)).tolist() == [15, 6]


def test_without_lengths_all_entries_are_valid():
    estimate, reference, counts = mask_padding(torch.ones(2, 4), torch.zeros(2, 4), None, 1)
    assert counts.tolist() == [4, 4]
    assert estimate.all()
    assert not reference.any()


@pytest.mark.parametrize(
    ("shapes", "item_ndim"),
    [(((5,), (6,)), 1), (((), ()), 1), (((0,), (0,)), 1), (((5,), (5,)), 2), (((2, 0), (2, 0)), 2)],
)
def test_wrong_or_empty_shapes_are_refused(shapes, item_ndim):
    with pytest.raises(InputError, match=r"must be( equal)? \(….*not empty"):
        mask_padding(*(torch.ones(shape) for shape in shapes), None, item_ndim)


def test_wrong_lengths_are_refused():
    with pytest.raises(InputError, match="lengths"):
        mask_padding(torch.ones(2, 9), torch.ones(2, 9), [9, 0], 1)


def test_every_metric_of_items_takes_lengths():
    """`gradient_norm` takes a function, which can pass lengths on; the others have no batches."""
    functions = {name: getattr(metrics, name) for name in metrics.__all__}
    without = {
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and "lengths" not in inspect.signature(function).parameters
    }
    aligned = {"aligned_mel_scores", "aligned_scores", "dtw_path"}
    assert without == {"bootstrap_mean", "gradient_norm", "third_octave_bands", *aligned}
