"""torchaudio's Griffin-Lim, and what happens without it."""

from __future__ import annotations

import sys

import pytest
import torch

from torchmelinv.conventions import STFTConvention
from torchmelinv.doctor.inputs import MOMENTUM
from torchmelinv.doctor.peer import torchaudio_griffin_lim
from torchmelinv.errors import DependencyError
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.phases import GriffinLim

STFT = STFTConvention(n_fft=64, hop_length=16)


def test_it_is_the_same_recursion():
    magnitude = torch.rand(2, 33, 20, dtype=torch.float64)
    expected = magnitude_to_waveform(magnitude, STFT, GriffinLim(MOMENTUM), 2, init="zero")
    waveform = torchaudio_griffin_lim(STFT, 2, MOMENTUM)(magnitude)
    torch.testing.assert_close(waveform, expected, rtol=0, atol=1e-9)


def test_without_torchaudio_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(DependencyError, match="torchaudio is needed here"):
        torchaudio_griffin_lim(STFT, 2, MOMENTUM)
