"""inverter(c · mel) = c · waveform for linear magnitude mels, √c at power 2; every magnitude scales with its mel."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.phase.start import STARTS

SCALES = [1e-8, 1e-4, 3.7, 1e8]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude, convention, scale):
    mel = MelAnalyzer(convention).linear(tones(800, dtype=torch.float64))
    bank = MelFilterbank(convention)
    expected = MAGNITUDES[magnitude](mel, bank)
    result = MAGNITUDES[magnitude](scale * mel, bank) / scale
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER])
@pytest.mark.parametrize("phase", PHASES)
def test_waveforms(phase, convention, scale):
    mel = MelAnalyzer(convention).linear(tones(800, dtype=torch.float64))
    inverter = MelInverter(convention, phase=phase, n_iter=4)
    expected, result = inverter(mel), inverter(scale * mel) / scale ** (1 / convention.power)
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("phase", ["fast_griffin_lim", "mel_consistent"])
def test_starts(phase, start, scale):
    mel = MelAnalyzer(TINY_POWER).linear(tones(800, (2,), torch.float64))
    inverter = MelInverter(TINY_POWER, phase=phase, n_iter=2, start=start)
    expected, result = inverter(mel), inverter(scale * mel) / scale**0.5
    assert (result - expected).abs().max() <= 1e-5 * expected.abs().max()
