"""Contrast about the mean of each band."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.errors import InputError
from torchmelinv.restoration import (
    Contrast,
    contrast,
)


def test_contrast_is_about_the_mean_of_each_band():
    log_mel = torch.rand(3, 20, 50)
    mean = log_mel.mean(-1, keepdim=True)
    torch.testing.assert_close(contrast(log_mel, 1.3), mean + 1.3 * (log_mel - mean))
    about = torch.rand(20)
    expected = about[:, None] + 1.3 * (log_mel - about[:, None])
    torch.testing.assert_close(contrast(log_mel, 1.3, mean=about), expected)


def test_contrast_about_a_running_mean_is_local():
    log_mel = torch.rand(20, 400)
    changed = log_mel.clone()
    changed[:, 300:] += 1
    once, again = (contrast(each, 1.3, sigma_frames=10.0) for each in (log_mel, changed))
    torch.testing.assert_close(once[:, :250], again[:, :250])
    constant = torch.full((20, 50), -3.0)
    torch.testing.assert_close(contrast(constant, 1.3, sigma_frames=10.0), constant)
    wide = contrast(log_mel, 1.3, sigma_frames=1000.0)
    assert wide.shape == log_mel.shape
    with pytest.raises(InputError, match="two ways"):
        contrast(log_mel, mean=torch.zeros(20), sigma_frames=3.0)


def test_pauses_do_not_move_the_mean():
    log_mel = torch.randn(20, 50)
    silence = torch.full((20, 50), -12.0)
    with_pause = contrast(torch.cat([log_mel, silence], -1), 1.3)
    torch.testing.assert_close(with_pause[:, :50], contrast(log_mel, 1.3))


def test_refusals():
    with pytest.raises(InputError, match="gain"):
        Contrast(-1)
    with pytest.raises(InputError, match=r"mean has shape \(3,\)"):
        contrast(torch.zeros(80, 4), mean=torch.zeros(3))
