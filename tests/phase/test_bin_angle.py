"""Bin angles: the window's spectrum is real at its center, and full turns cost no precision."""

from __future__ import annotations

import pytest
import torch

from tests.problems import stft_convention
from torchmelinv.phase.bin_angle import bin_angles, window_center
from torchmelinv.transforms.window import window_table


@pytest.mark.parametrize("window", ["hann", "hann_symmetric", "povey", torch.blackman_window])
@pytest.mark.parametrize("align", ["center", "left"])
@pytest.mark.parametrize("win_length", [64, 49])
def test_the_spectrum_of_a_window_is_real_at_its_center(window, align, win_length):
    window = window(win_length, dtype=torch.float64) if callable(window) else window
    convention = stft_convention(window=window, window_align=align, win_length=win_length)
    table = window_table(convention)
    centering = bin_angles(convention, window_center(convention), table)
    spectrum = torch.fft.rfft(table) * torch.polar(torch.ones_like(centering), centering)
    torch.testing.assert_close(spectrum.imag, torch.zeros_like(centering), atol=1e-12, rtol=0)
    assert (spectrum.real[:2] > 0).all()


def test_full_turns_are_removed_before_rounding():
    convention = stft_convention(n_fft=2048, hop_length=512)
    angles = bin_angles(convention, 512, torch.zeros(0))
    expected = bin_angles(convention, 512 + 2048 * 1001, torch.zeros(0, dtype=torch.float64))
    torch.testing.assert_close(angles, expected.float(), rtol=1e-6, atol=1e-6)
