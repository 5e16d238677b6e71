"""Modulation spectra: inversion, power of a fluctuation, padding."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.restoration.modulation_spectrum import (
    from_modulations,
    modulation_power,
    modulations,
)


def test_modulations_are_inverted_exactly():
    for n_frames in (1, 20, 200):
        log_mel = torch.randn(2, 5, n_frames).double()
        again = from_modulations(modulations(log_mel), n_frames, log_mel)
        torch.testing.assert_close(again, log_mel)


def test_a_fluctuation_has_the_power_of_its_amplitude():
    frames = torch.arange(256).double()
    log_mel = 0.3 * torch.sin(2 * math.pi * frames * 8 / 64).expand(1, 2, 256)
    power = modulation_power(log_mel, None)
    assert float(power[0, 0, 8]) == pytest.approx(0.09, rel=0.1)  # less in segments at the ends
    padded = torch.nn.functional.pad(log_mel, (0, 64))
    torch.testing.assert_close(modulation_power(padded, torch.tensor([256])), power)
