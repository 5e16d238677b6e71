"""Metrics of waveforms: items without a value do not count."""

from __future__ import annotations

import math

import pytest
import torch

from tests.tiny import TINY
from tests.validation.batches import NOISY, WAVEFORMS
from torchmelinv import metrics, validation
from torchmelinv.demo import signal
from torchmelinv.errors import InputError


def test_a_convention_is_no_sample_rate(module):
    with pytest.raises(InputError, match="sample_rate is 'hifigan_22k'; it must be a number"):
        module.PESQ("hifigan_22k")


def test_silent_references_do_not_count(module):
    metric = module.SpectralConvergence(TINY)
    metric.update(NOISY, WAVEFORMS)
    before = metric.compute()
    metric.update(NOISY, torch.zeros_like(WAVEFORMS))
    assert metric.compute() == before
    tones = torch.tensor([[164.0], [200.0]]) * torch.arange(4000) / 8000
    tones = sum((2 * torch.pi * k * tones).sin() for k in (1, 2, 3))
    metric = module.F0RMSE(8000)
    metric.update(tones[:1], tones[1:])
    assert float(metric.compute()) == pytest.approx(1200 * math.log2(200 / 164), abs=10)
    metric = module.F0RMSE(8000)
    metric.update(NOISY, torch.zeros_like(WAVEFORMS))
    assert math.isnan(metric.compute())


def test_pesq_and_estoi_are_those_of_torchmetrics():
    audio = pytest.importorskip("torchmetrics.functional.audio")
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    reference = signal(1.0, 16000)[None]
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    estimate = reference + 0.05 * noise
    for metric, theirs in (
        (
            validation.PESQ(16000),
            audio.perceptual_evaluation_speech_quality(estimate, reference, 16000, "wb"),
        ),
        (
            validation.ESTOI(16000),
            audio.short_time_objective_intelligibility(estimate, reference, 16000, extended=True),
        ),
    ):
        metric.update(estimate, reference)
        assert float(metric.compute()) == pytest.approx(float(theirs), abs=1e-5)
    ours = metrics.si_sdr_db(estimate, reference)
    theirs = audio.scale_invariant_signal_distortion_ratio(estimate, reference)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)
