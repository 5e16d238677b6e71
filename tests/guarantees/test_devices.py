"""Results on a CUDA device equal those on the CPU, with padded batches and gradients."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MfccConvention
from torchmelinv.functional import mel_to_mfcc, mfcc_to_mel
from torchmelinv.invert import MelInverter
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.transforms.mel_filterbank import MelFilterbank

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_mel_spectrograms(convention):
    mel_spectrogram, waveform = MelSpectrogram(convention), tones(1600, (2,))
    mel = mel_spectrogram(waveform.cuda()).cpu()
    torch.testing.assert_close(mel, mel_spectrogram(waveform), atol=1e-3, rtol=1e-3)


def test_mfccs():
    convention = MfccConvention(mel=TINY_LOG, n_mfcc=7, lifter=22)
    mel = MelSpectrogram(TINY_LOG)(tones(1600, (2,))).double()
    mfcc = mel_to_mfcc(mel, convention)
    torch.testing.assert_close(mel_to_mfcc(mel.cuda(), convention).cpu(), mfcc)
    inverse = mfcc_to_mel(mfcc.cuda(), convention).cpu()
    torch.testing.assert_close(inverse, mfcc_to_mel(mfcc, convention))


@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude):
    mel, filterbank = MelSpectrogram(TINY).linear_mel(tones(1600, (2,))), MelFilterbank(TINY)
    method = MAGNITUDES[magnitude]
    expected = method(mel, filterbank)
    result, atol = method(mel.cuda(), filterbank).cpu(), 1e-3 * float(expected.max())
    torch.testing.assert_close(result, expected, atol=atol, rtol=1e-3)


@pytest.mark.parametrize("phase", PHASES)
def test_waveforms_of_a_padded_batch(phase):
    mel = MelSpectrogram(TINY_LOG)(tones(1600, (3,))).double()
    lengths = torch.tensor([mel.shape[-1], 20, 7])
    inverter = MelInverter(TINY_LOG, phase=phase, n_iter=4)
    expected = inverter(mel, lengths=lengths)
    waveform = inverter(mel.cuda(), lengths=lengths)
    assert waveform.is_cuda
    torch.testing.assert_close(waveform.cpu(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("gradient", ["unrolled", "checkpointed", 1, "phase_detached"])
@pytest.mark.parametrize("phase", PHASES)
def test_gradients(phase, gradient):
    mel = MelSpectrogram(TINY_LOG)(tones(1600)).double()
    inverter = MelInverter(TINY_LOG, phase=phase, n_iter=3, gradient=gradient)
    gradients = []
    for device in ("cpu", "cuda"):
        leaf = mel.to(device).requires_grad_()
        inverter(leaf).square().sum().backward()
        gradients.append(leaf.grad.cpu())
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)
