"""SI-SDR: torchmetrics' formula, scale invariance, silence, padded batches."""

from __future__ import annotations

import math

import pytest
import torch

from tests.problems import tones
from torchmelinv.errors import InputError
from torchmelinv.metrics import si_sdr_db


def pair(
    items: tuple[int, ...] = (), dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a waveform with noise and without, (*items, 1600)."""
    reference = tones(items=items, dtype=dtype)
    return reference + 0.05 * torch.randn(reference.shape, dtype=dtype), reference


def test_torchmetrics_formula():
    estimate, reference = pair((3,), torch.float64)
    eps = torch.finfo(torch.float64).eps
    alpha = ((estimate * reference).sum(-1, keepdim=True) + eps) / (
        reference.square().sum(-1, keepdim=True) + eps
    )
    target = alpha * reference
    ratio = (target.square().sum(-1) + eps) / ((target - estimate).square().sum(-1) + eps)
    torch.testing.assert_close(si_sdr_db(estimate, reference), 10 * ratio.log10())


def test_torch_specinv_formula():
    """Its SNR is that of unit vectors, 2 − 2 cos."""
    estimate, reference = (each.abs() for each in pair(dtype=torch.float64))
    snr = -10 * (estimate / estimate.norm() - reference / reference.norm()).square().sum().log10()
    cosine = 1 - 10 ** (-snr / 10) / 2
    expected = 10 * torch.log10(cosine**2 / (1 - cosine**2))
    torch.testing.assert_close(si_sdr_db(estimate, reference), expected)


def test_scaling_either_changes_nothing():
    estimate, reference = pair((2,))
    expected = si_sdr_db(estimate, reference)
    for scale in (1e-30, 1e30):
        result = si_sdr_db(scale * estimate, reference / scale)
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def test_equality_silence_and_nan():
    signal, silence = tones(), torch.zeros(1600)
    assert si_sdr_db(signal, signal) > 100
    assert si_sdr_db(silence, silence) == 300
    assert si_sdr_db(silence, signal) == si_sdr_db(signal, silence) == -300
    assert si_sdr_db(torch.tensor([1.0, 1.0]), torch.tensor([1.0, -1.0])) == -300
    assert si_sdr_db(torch.full((9,), math.nan), torch.ones(9)).isnan()


def test_items_of_a_padded_batch_are_independent():
    estimate, reference = pair((3,))
    lengths = [1600, 817, 544]
    for item, length in enumerate(lengths):
        estimate[item, length:] = math.nan
    result = si_sdr_db(estimate, reference, lengths=torch.tensor(lengths))
    for item, length in enumerate(lengths):
        expected = si_sdr_db(estimate[item, :length], reference[item, :length])
        torch.testing.assert_close(result[item], expected)


@pytest.mark.parametrize("shapes", [((5,), (6,)), ((), ()), ((0,), (0,))])
def test_wrong_or_empty_shapes_are_refused(shapes):
    with pytest.raises(InputError, match=r"n_samples\), and not empty"):
        si_sdr_db(*(torch.ones(shape) for shape in shapes))


def test_wrong_lengths_are_refused():
    with pytest.raises(InputError, match="lengths"):
        si_sdr_db(torch.ones(2, 9), torch.ones(2, 9), lengths=[9, 0])
