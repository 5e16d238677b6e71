"""An item's result does not depend on the batch: on the CPU bit for bit, for every method."""

from __future__ import annotations

import pytest
import torch

from tests.problems import DEFICIENT, TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.transforms.mel_filterbank import MelFilterbank


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, DEFICIENT])
@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude, convention):
    mel = MelSpectrogram(convention).linear_mel(tones(1600, (2, 3)))
    mel[1, 2] *= 1e-4
    method, filterbank = MAGNITUDES[magnitude], MelFilterbank(convention)
    batch = method(mel, filterbank)
    for i in range(2):
        for j in range(3):
            alone = method(mel[i, j], filterbank)
            if magnitude == "pinv":  # one matrix product for the whole batch
                atol = 1e-6 * float(alone.max())
                torch.testing.assert_close(batch[i, j], alone, rtol=1e-5, atol=atol)
            else:
                assert torch.equal(batch[i, j], alone)


@pytest.mark.parametrize("n_frames", [11, 12, 16, 17])
@pytest.mark.parametrize("magnitude", ["transpose", "entropic", "least_distance"])
def test_magnitudes_of_another_size(magnitude, n_frames):
    """MKL has another product for a batch of these sizes."""
    filterbank = MelFilterbank("whisper_80")
    mel = filterbank(torch.rand(9, filterbank.n_freqs, n_frames))
    batch = MAGNITUDES[magnitude](mel, filterbank)
    for item, result in zip(mel, batch, strict=True):
        assert torch.equal(result, MAGNITUDES[magnitude](item, filterbank))


@pytest.mark.parametrize("phase", PHASES)
def test_waveforms(phase):
    mel = MelSpectrogram(TINY).linear_mel(tones(1600, (2, 3)))
    inverter = MelInverter(TINY, phase=phase, n_iter=5)
    batch = inverter(mel)
    assert batch.shape[:2] == (2, 3)
    for i in range(2):
        for j in range(3):
            assert torch.equal(batch[i, j], inverter(mel[i, j]))


@pytest.mark.parametrize("phase", PHASES)
def test_padding_frames_do_not_affect_a_shorter_item(phase):
    # In double precision: padding changes the rounding, which moves single precision by 1e-5.
    mel = MelSpectrogram(TINY).linear_mel(tones(1600, (3,), torch.float64))
    lengths = torch.tensor([mel.shape[-1], 20, 7])
    inverter = MelInverter(TINY, phase=phase, n_iter=5)
    batch = inverter(mel, lengths=lengths)
    for item, count, waveform in zip(mel, lengths.tolist(), batch, strict=True):
        alone = inverter(item[:, :count])
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()


@pytest.mark.parametrize("convention", [TINY, TINY_LOG, TINY.replace(padding="none")])
@pytest.mark.parametrize("phase", PHASES)
def test_each_item_has_its_own_length(convention, phase):
    waveforms = tones(1611, (4,), torch.float64)
    # A last part of a hop, a whole number of hops, a few frames, and fewer samples than the frames
    samples = [1611, 640, 160, 900]
    mel = MelSpectrogram(convention)(waveforms, lengths=samples)
    lengths = [convention.n_frames(n) for n in (1611, 640, 160, 1000)]
    inverter = MelInverter(convention, phase=phase, n_iter=5)
    batch = inverter(mel, lengths=lengths, length=samples)
    assert batch.shape == (4, 1611)
    for item, count, n, waveform in zip(mel, lengths, samples, batch, strict=True):
        alone = inverter(item[:, :count], length=n)
        torch.testing.assert_close(waveform[:n], alone, atol=1e-8, rtol=0)
        assert (waveform[n:] == 0).all()


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("phase", PHASES)
def test_initial_phases(phase, init):
    mel = MelSpectrogram(TINY).linear_mel(tones(800, (3,)))
    mel[2] = 0
    mel[0, :, 5:9] = 0
    inverter = MelInverter(TINY, phase=phase, n_iter=2, init=init, seed=3)
    batch = inverter(mel)
    for item, waveform in zip(mel, batch, strict=True):
        assert torch.equal(waveform, inverter(item))
    assert (batch[2] == 0).all()


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("convention", [TINY, TINY_POWER.replace(padding="none")])
def test_padding_frames_do_not_affect_the_initial_phase_of_a_shorter_item(convention, phase, init):
    mel = MelSpectrogram(convention).linear_mel(tones(800, (3,), torch.float64))
    lengths = torch.tensor([mel.shape[-1], 12, 1])
    mel[1, :, 12:] = 7  # padding, which must not matter
    inverter = MelInverter(convention, phase=phase, n_iter=3, init=init)
    batch = inverter(mel, lengths=lengths)
    for item, count, waveform in zip(mel, lengths.tolist(), batch, strict=True):
        alone = inverter(item[:, :count])
        torch.testing.assert_close(waveform[: len(alone)], alone, atol=1e-8, rtol=0)
        assert (waveform[len(alone) :] == 0).all()
