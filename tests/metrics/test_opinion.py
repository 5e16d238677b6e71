"""Opinion scores are those of distillmos and speechmos at 16 kHz; order; undefined scores."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings

import numpy as np
import pytest
import torch

from tests.shared import needs_audio, speech_clips
from torchmelinv.demo import signal
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.io.audio import read_audio
from torchmelinv.io.resample import resample
from torchmelinv.metrics import OPINION_METRICS, distillmos, dnsmos, opinion, opinion_scores, plcmos
from torchmelinv.metrics.opinion import PACKAGES

METRICS = dict(zip(PACKAGES, (distillmos, dnsmos, plcmos), strict=True))
SAMPLE_RATE = 22050
# DNSMOS doubles waveforms until they have 9 s: these 0.3 and 0.6 s take one segment, not seven.
SECONDS, SHORT = 0.6, 6700


@pytest.fixture(params=METRICS)
def metric(request):
    pytest.importorskip(request.param)
    return METRICS[request.param]


def test_distillmos_is_that_of_the_package():
    package = pytest.importorskip("distillmos")
    waveform = signal(9.0, SAMPLE_RATE)  # three segments
    opinion._distillmos_model.cache_clear()  # to load prints and draws random numbers
    rng_state = torch.get_rng_state()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = distillmos(waveform.requires_grad_(), SAMPLE_RATE)
    assert printed.getvalue() == ""
    assert not result.requires_grad
    assert torch.equal(torch.get_rng_state(), rng_state)
    with torch.no_grad():
        model = package.ConvTransformerSQAModel().eval()
        expected = model(resample(waveform.detach(), SAMPLE_RATE, 16000)[None])
    torch.testing.assert_close(result, expected[0, 0], rtol=0, atol=1e-5)


def test_dnsmos_is_that_of_the_package_and_loud_waveforms_are_scaled():
    package = pytest.importorskip("speechmos.dnsmos")
    waveform = signal(SECONDS, 16000)
    expected = package.run(waveform.numpy(), 16000)["ovrl_mos"]
    assert float(dnsmos(waveform, 16000)) == pytest.approx(expected, abs=1e-6)
    full_scale = waveform / waveform.abs().max()
    assert dnsmos(7 * full_scale, 16000) == pytest.approx(
        float(dnsmos(full_scale, 16000)), abs=0.01
    )


def test_plcmos_is_close_to_that_of_the_package():
    package = pytest.importorskip("speechmos.plcmos")
    waveform = signal(SECONDS, 16000)
    expected = package.run(waveform.numpy(), 16000)["plcmos"]  # of other listeners
    assert float(plcmos(waveform, 16000)) == pytest.approx(expected, abs=0.2)


@needs_audio
def test_noise_lowers_the_score_of_a_recording(metric):
    clip = next(path for path in speech_clips() if "LJ001-0004" in path.name)
    waveform, sample_rate = read_audio(clip)
    recording = waveform.reshape(-1)[: int(2.4 * sample_rate)]
    noisy = recording + 0.1 * recording.std() * torch.randn(recording.shape)
    clean_score, noisy_score = (float(metric(each, sample_rate)) for each in (recording, noisy))
    assert 1 < noisy_score + 0.3 < clean_score < 5


def test_items_of_a_padded_batch_are_independent(metric):
    waveform = signal(SECONDS, SAMPLE_RATE)
    batch = waveform.repeat(2, 1, 1)
    batch[0, 0, SHORT:] = torch.nan
    result = metric(batch, SAMPLE_RATE, lengths=torch.tensor([[SHORT], [len(waveform)]]))
    assert result.shape == (2, 1)
    assert result[0, 0] == metric(waveform[:SHORT], SAMPLE_RATE)
    assert result[1, 0] == metric(waveform, SAMPLE_RATE)
    assert result[0, 0] != result[1, 0]


def test_undefined_scores_are_nan(metric):
    waveform = signal(SECONDS, SAMPLE_RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric(torch.zeros_like(waveform), SAMPLE_RATE).isnan()
        assert metric(waveform / torch.zeros(1), SAMPLE_RATE).isnan()
        for n_samples in (1, 40, 4000, 5500):
            assert metric(waveform[:n_samples], SAMPLE_RATE).isnan()
        assert metric(waveform[:5600].double(), SAMPLE_RATE).dtype == torch.float64


def test_deterministic_and_the_generators_are_unchanged(metric):
    waveform = signal(SECONDS, SAMPLE_RATE)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = metric(waveform, SAMPLE_RATE)
    assert (np.random.get_state()[1] == before[0]).all()
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(7)
    assert metric(waveform, SAMPLE_RATE) == first


def test_opinion_scores_are_the_single_metrics():
    for package in PACKAGES:
        pytest.importorskip(package)
    waveform = signal(SECONDS, SAMPLE_RATE).repeat(2, 1)
    lengths = torch.tensor([SHORT, 13200])
    result = opinion_scores(waveform, SAMPLE_RATE, lengths=lengths)
    assert list(result) == list(OPINION_METRICS)
    for metric in METRICS.values():
        expected = metric(waveform, SAMPLE_RATE, lengths=lengths)
        assert torch.equal(result[metric.__name__], expected)


@pytest.mark.parametrize("package", METRICS)
def test_a_missing_package_is_an_error(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"{package} is needed here .* `pip install 'torchmelinv\[mos\]'`"
    with pytest.raises(DependencyError, match=message):
        METRICS[package](signal(SECONDS, SAMPLE_RATE), SAMPLE_RATE)


@pytest.mark.parametrize("metric", METRICS.values())
def test_invalid_waveforms_and_lengths_are_refused(metric):
    with pytest.raises(InputError, match=r"waveform has shape \(0,\)"):
        metric(torch.ones(0), SAMPLE_RATE)
    with pytest.raises(InputError, match="lengths has shape"):
        metric(torch.ones(2, 9), SAMPLE_RATE, lengths=torch.tensor([9]))
