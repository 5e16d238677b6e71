"""Unsharp masks: the definition, steps from silence, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks import mels
from torchmelinv.errors import InputError
from torchmelinv.restoration import (
    UnsharpMask,
    unsharp_mask,
)


def test_the_unsharp_mask_adds_what_the_filter_takes_away():
    log_mel = torch.randn(20, 50).double()
    expected = log_mel + 0.5 * (log_mel - mels._blur(log_mel, 0.7))
    torch.testing.assert_close(unsharp_mask(log_mel, 0.5)[4:-4, 4:-4], expected[4:-4, 4:-4])
    assert torch.equal(unsharp_mask(log_mel, 0.5, sigma_bands=0.0, sigma_frames=0.0), log_mel)
    along_bands = unsharp_mask(log_mel, 0.5, sigma_frames=0.0)
    columns = [unsharp_mask(log_mel[:, i : i + 1], 0.5, sigma_frames=0.0) for i in range(50)]
    torch.testing.assert_close(along_bands, torch.cat(columns, -1))


def test_a_sound_that_starts_in_silence_does_not_start_with_a_click():
    log_mel = torch.full((80, 60), -11.5)
    log_mel[:, 30:] = 0.0
    assert float((unsharp_mask(log_mel, 2.0) - log_mel).max()) <= 1.5 + 1e-6


def test_refusals():
    with pytest.raises(InputError, match="sigma_frames"):
        UnsharpMask(sigma_frames=math.nan)
