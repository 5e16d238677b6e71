"""Gaussian filters with a width for each item."""

from __future__ import annotations

import torch

from benchmarks import mels
from torchmelinv.restoration import gaussian
from torchmelinv.restoration.gaussian import gaussian_filter


def test_each_item_has_its_own_width_and_0_changes_nothing():
    log_mel = torch.randn(3, 20, 30).double()
    widths = torch.tensor([0.0, 0.7, 1.5]).double()
    result = gaussian_filter(log_mel, (widths.square(), widths.square()), (1.5, 1.5))
    assert torch.equal(result[0], log_mel[0])
    for item, width in ((1, 0.7), (2, 1.5)):
        expected = mels._blur(log_mel[item], width)
        # The benchmark cuts the kernel at four deviations of this width.
        torch.testing.assert_close(result[item], expected, atol=1e-3, rtol=0)


def test_many_bands_take_no_matrix_of_bands(monkeypatch):
    log_mel, variances = torch.randn(2, 20, 30), (torch.tensor([0.7, 2.0]), torch.ones(2))
    expected = gaussian_filter(log_mel, variances, (1.5, 1.0))
    monkeypatch.setattr(gaussian, "_MANY_BANDS", 19)
    torch.testing.assert_close(gaussian_filter(log_mel, variances, (1.5, 1.0)), expected)
    monkeypatch.undo()
    with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
        gaussian_filter(torch.randn(1, 4000, 3), (torch.ones(1), torch.ones(1)), (1.0, 1.0))
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert largest < 4000 * 4000


def test_constants_stay():
    log_mel = torch.full((1, 4, 3), 2.5)
    variances = torch.tensor([4.0]), torch.tensor([1.0])
    torch.testing.assert_close(gaussian_filter(log_mel, variances, (2.0, 1.0)), log_mel)
