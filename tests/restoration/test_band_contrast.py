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
