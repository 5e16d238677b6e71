"""Bin angles: whole turns are gone, and the window's centre is where its own spectrum is real."""

from __future__ import annotations

import pytest
import torch

from tests.problems import frame_convention
from torchmelinv.phase.bin_angle import bin_angles, window_centre
from torchmelinv.window import window_table


@pytest.mark.parametrize("window", ["hann", "hann_symmetric", "povey", torch.blackman_window])
@pytest.mark.parametrize("align", ["center", "left"])
@pytest.mark.parametrize("win_length", [64, 49])
def test_from_its_centre_a_window_is_real_and_even(window, align, win_length):
    window = window(win_length, dtype=torch.float64) if callable(window) else window
    convention = frame_convention(window=window, window_align=align, win_length=win_length)
    table = window_table(convention)
    centring = bin_angles(convention, window_centre(convention), table)
    spectrum = torch.fft.rfft(table) * torch.polar(torch.ones_like(centring), centring)
    torch.testing.assert_close(spectrum.imag, torch.zeros_like(centring), atol=1e-12, rtol=0)
    assert (spectrum.real[:2] > 0).all()


def test_whole_turns_are_taken_off_before_rounding():
    convention = frame_convention(n_fft=2048, hop_length=512)
    expected = bin_angles(convention, 512 + 2048 * 1001, torch.zeros(0, dtype=torch.float64))
    torch.testing.assert_close(bin_angles(convention, 512, torch.zeros(0)), expected.float(), rtol=1e-6, atol=1e-6)
