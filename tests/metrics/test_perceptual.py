"""PESQ and ESTOI are those of pesq and pystoi at 16 kHz; undefined scores; missing packages."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import torch

from torchmelinv.demo import signal
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.io.resample import resample
from torchmelinv.metrics import estoi, pesq_wb

METRICS = {"pesq": pesq_wb, "pystoi": estoi}
SAMPLE_RATE = 22050


@pytest.fixture(params=METRICS)
def metric(request):
    pytest.importorskip(request.param)
    return METRICS[request.param]


def pair(seconds: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    reference = signal(seconds, SAMPLE_RATE)
    return reference + 0.02 * torch.randn(reference.shape), reference


def test_values_are_those_of_the_packages():
    pesq, pystoi = pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    estimate, reference = pair()
    both = torch.stack([estimate, reference])
    estimate_16k, reference_16k = resample(both, SAMPLE_RATE, 16000).numpy()
    expected = pesq.pesq(16000, reference_16k, estimate_16k, "wb")
    assert float(pesq_wb(estimate, reference, SAMPLE_RATE)) == pytest.approx(expected, abs=1e-6)
    expected = pystoi.stoi(reference_16k, estimate_16k, 16000, extended=True)
    assert float(estoi(estimate, reference, SAMPLE_RATE)) == pytest.approx(expected, abs=1e-6)


def test_items_of_a_padded_batch_are_independent(metric):
    estimate, reference = pair()
    batch = estimate.repeat(2, 1, 1), reference.repeat(2, 1, 1)
    result = metric(*batch, SAMPLE_RATE, lengths=torch.tensor([[30000], [len(reference)]]))
    assert result.shape == (2, 1)
    assert result[0, 0] == metric(estimate[:30000], reference[:30000], SAMPLE_RATE)
    assert result[1, 0] == metric(estimate, reference, SAMPLE_RATE)


def test_undefined_scores_are_nan(metric):
    estimate, reference = pair(0.5)
    silence = torch.zeros_like(reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for first, second in ((estimate, silence), (silence, reference), (silence, silence)):
            assert metric(first, second, SAMPLE_RATE).isnan()
        for n_samples in (1, 40, 4000, 8000):
            assert metric(estimate[:n_samples], reference[:n_samples], 2 * SAMPLE_RATE).isnan()


def test_deterministic_and_numpys_generator_is_unchanged(metric):
    estimate, reference = pair()
    estimate[4000:18000] = 0  # where pystoi's noise changes the score by 0.01
    before = np.random.get_state()[1].copy()
    first = metric(estimate, reference, SAMPLE_RATE)
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(7)
    assert metric(estimate, reference, SAMPLE_RATE) == first


def test_long_waveforms_get_the_mean_pesq_of_their_pieces():
    pytest.importorskip("pesq")
    word = signal(1.0, 16000)[4000:7520]
    # 40.4 s with 92 utterances: pesq crashes after 50
    reference = torch.cat([word, torch.zeros(3500)]).repeat(92)
    estimate = reference + 0.01 * torch.randn(reference.shape)

    def piece_scores() -> torch.Tensor:
        pieces = zip(estimate.tensor_split(3), reference.tensor_split(3), strict=True)
        return torch.stack([pesq_wb(*piece, 16000) for piece in pieces])

    torch.testing.assert_close(pesq_wb(estimate, reference, 16000), piece_scores().mean())
    reference[len(reference) * 2 // 3 :] = 0
    scores = piece_scores()
    assert scores[2].isnan()
    torch.testing.assert_close(pesq_wb(estimate, reference, 16000), scores[:2].mean())


@pytest.mark.parametrize("package", METRICS)
def test_a_missing_package_is_an_error(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"{package} is needed here .* `pip install 'torchmelinv\[metrics\]'`"
    with pytest.raises(DependencyError, match=message):
        METRICS[package](*pair(), SAMPLE_RATE)


def test_shapes_must_be_equal(metric):
    with pytest.raises(InputError, match="must be equal"):
        metric(torch.ones(2, 9), torch.ones(9), SAMPLE_RATE)
