"""A linear mel c times as large gives a waveform c times as large, √c at power 2."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.transforms.mel_filterbank import MelFilterbank

SCALES = [1e-8, 1e-4, 3.7, 1e8]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude, convention, scale):
    mel = MelSpectrogram(convention).linear_mel(tones(800, dtype=torch.float64))
    filterbank = MelFilterbank(convention)
    expected = MAGNITUDES[magnitude](mel, filterbank)
    result = MAGNITUDES[magnitude](scale * mel, filterbank) / scale
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize("phase", PHASES)
def test_waveforms(phase, convention, scale):
    mel = MelSpectrogram(convention).linear_mel(tones(800, dtype=torch.float64))
    inverter = MelInverter(convention, phase=phase, n_iter=4)
    expected, result = inverter(mel), inverter(scale * mel) / scale ** (1 / convention.power)
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("phase", ["fast_griffin_lim", "mel_consistent"])
def test_initial_phases(phase, init, scale):
    mel = MelSpectrogram(TINY_POWER).linear_mel(tones(800, (2,), torch.float64))
    inverter = MelInverter(TINY_POWER, phase=phase, n_iter=2, init=init)
    expected, result = inverter(mel), inverter(scale * mel) / scale**0.5
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()
