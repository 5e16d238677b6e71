"""PESQ and ESTOI are those of pesq and pystoi at 16 kHz; what they refuse is NaN; without them a clear error."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import torch

from torchmelinv.demo import signal
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.files import resample
from torchmelinv.measure.perceptual import estoi, pesq_wb

METRICS = {"pesq": pesq_wb, "pystoi": estoi}
RATE = 22050


@pytest.fixture(params=METRICS)
def metric(request):
    pytest.importorskip(request.param)
    return METRICS[request.param]


def pair(seconds: float = 1.5) -> tuple[torch.Tensor, torch.Tensor]:
    reference = signal(seconds, RATE)
    return reference + 0.02 * torch.randn(reference.shape), reference


def test_they_are_the_packages():
    pesq, pystoi = pytest.importorskip("pesq"), pytest.importorskip("pystoi")
    estimate, reference = pair()
    found, wanted = resample(torch.stack([estimate, reference]), RATE, 16000).numpy()
    assert float(pesq_wb(estimate, reference, RATE)) == pytest.approx(pesq.pesq(16000, wanted, found, "wb"), abs=1e-6)
    assert float(estoi(estimate, reference, RATE)) == pytest.approx(pystoi.stoi(wanted, found, 16000, extended=True), abs=1e-6)


def test_batches_are_items_alone(metric):
    estimate, reference = pair()
    lengths = torch.tensor([[30000], [len(reference)]])
    found = metric(estimate.repeat(2, 1, 1), reference.repeat(2, 1, 1), RATE, lengths=lengths)
    assert found.shape == (2, 1)
    assert found[0, 0] == metric(estimate[:30000], reference[:30000], RATE)
    assert found[1, 0] == metric(estimate, reference, RATE)


def test_what_has_no_answer_is_nan(metric):
    estimate, reference = pair(0.5)
    silence = torch.zeros_like(reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one, other in ((estimate, silence), (silence, reference), (silence, silence)):
            assert metric(one, other, RATE).isnan()
        for n_samples in (1, 40, 4000, 8000):
            assert metric(estimate[:n_samples], reference[:n_samples], 2 * RATE).isnan()


def test_the_same_each_time_and_numpys_generator_untouched(metric):
    estimate, reference = pair()
    estimate[4000:18000] = 0  # where pystoi's noise shows: by 0.01
    before = np.random.get_state()[1].copy()
    first = metric(estimate, reference, RATE)
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(7)
    assert metric(estimate, reference, RATE) == first


def test_long_waveforms_have_the_mean_pesq_of_their_pieces():
    pytest.importorskip("pesq")
    word = signal(1.0, 16000)[4000:7520]
    reference = torch.cat([word, torch.zeros(3500)]).repeat(92)  # 40.4 s: more utterances than pesq survives
    estimate = reference + 0.01 * torch.randn(reference.shape)
    found = pesq_wb(estimate, reference, 16000)
    pieces = [pesq_wb(*each, 16000) for each in zip(estimate.tensor_split(3), reference.tensor_split(3), strict=True)]
    torch.testing.assert_close(found, torch.stack(pieces).mean())
    reference[len(reference) * 2 // 3 :] = 0
    silent_end = [pesq_wb(*each, 16000) for each in zip(estimate.tensor_split(3), reference.tensor_split(3), strict=True)]
    assert silent_end[2].isnan()
    torch.testing.assert_close(pesq_wb(estimate, reference, 16000), torch.stack(silent_end[:2]).mean())


@pytest.mark.parametrize("package", METRICS)
def test_without_the_package(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"{package} is needed here .* `pip install 'torchmelinv\[metrics\]'`"):
        METRICS[package](*pair(), RATE)


def test_shapes_must_agree(metric):
    with pytest.raises(InputError, match="both must be the same"):
        metric(torch.ones(2, 9), torch.ones(9), RATE)
