"""A batch of one is a batch of many: on the CPU bit for bit, for every method."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.phase.start import STARTS


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude, convention):
    mel = MelAnalyzer(convention).linear(tones(1600, (2, 3)))
    mel[1, 2] *= 1e-4
    method, bank = MAGNITUDES[magnitude], MelFilterbank(convention)
    together = method(mel, bank)
    for i in range(2):
        for j in range(3):
            alone = method(mel[i, j], bank)
            if magnitude in ("transpose", "pinv"):  # one product for the whole batch
                torch.testing.assert_close(together[i, j], alone, rtol=1e-5, atol=1e-6 * float(alone.max()))
            else:
                assert torch.equal(together[i, j], alone)


@pytest.mark.parametrize("phase", PHASES)
def test_waveforms(phase):
    mel = MelAnalyzer(TINY).linear(tones(1600, (2, 3)))
    inverter = MelInverter(TINY, phase=phase, n_iter=5)
    together = inverter(mel)
    assert together.shape[:2] == (2, 3)
    for i in range(2):
        for j in range(3):
            assert torch.equal(together[i, j], inverter(mel[i, j]))


@pytest.mark.parametrize("phase", PHASES)
def test_padding_frames_do_not_leak_into_a_shorter_item(phase):
    mel = MelAnalyzer(TINY).linear(tones(1600, (3,), torch.float64))  # rounding moves single precision by 1e-5, this by 1e-9
    lengths = torch.tensor([mel.shape[-1], 20, 7])
    inverter = MelInverter(TINY, phase=phase, n_iter=5)
    together = inverter(mel, lengths=lengths)
    for item, count, waveform in zip(mel, lengths.tolist(), together, strict=True):
        alone = inverter(item[:, :count])
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()


# States of signals and of spectra, a single pass, and a mel in the magnitude's place.
SOME = ["griffin_lim", "admm", "rtisi_la", "mel_consistent"]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("phase", SOME)
def test_starts(phase, start):
    mel = MelAnalyzer(TINY).linear(tones(800, (3,)))
    mel[2] = 0
    mel[0, :, 5:9] = 0
    inverter = MelInverter(TINY, phase=phase, n_iter=2, start=start, seed=3)
    together = inverter(mel)
    for item, waveform in zip(mel, together, strict=True):
        assert torch.equal(waveform, inverter(item))
    assert (together[2] == 0).all()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("phase", SOME)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER.replace(padding="none")])
def test_padding_frames_do_not_leak_into_the_start_of_a_shorter_item(convention, phase, start):
    mel = MelAnalyzer(convention).linear(tones(800, (3,), torch.float64))
    lengths = torch.tensor([mel.shape[-1], 12, 1])
    mel[1, :, 12:] = 7  # whatever stands there
    inverter = MelInverter(convention, phase=phase, n_iter=3, start=start)
    for item, count, waveform in zip(mel, lengths.tolist(), inverter(mel, lengths=lengths), strict=True):
        alone = inverter(item[:, :count])
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()
