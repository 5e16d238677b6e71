"""The same answer on a CUDA device as on the CPU, for every method, padded batches and gradients included."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MfccConvention
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.mfcc import mel_to_mfcc, mfcc_to_mel

pytestmark = pytest.mark.gpu



@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_analysis(convention):
    analyzer, waveform = MelAnalyzer(convention), tones(1600, (2,))
    torch.testing.assert_close(analyzer(waveform.cuda()).cpu(), analyzer(waveform), atol=1e-3, rtol=1e-3)


def test_mfccs():
    convention, mel = MfccConvention(mel=TINY_LOG, n_mfcc=7, lifter=22), MelAnalyzer(TINY_LOG)(tones(1600, (2,))).double()
    mfcc = mel_to_mfcc(mel, convention)
    torch.testing.assert_close(mel_to_mfcc(mel.cuda(), convention).cpu(), mfcc)
    torch.testing.assert_close(mfcc_to_mel(mfcc.cuda(), convention).cpu(), mfcc_to_mel(mfcc, convention))


@pytest.mark.parametrize("magnitude", MAGNITUDES)
def test_magnitudes(magnitude):
    mel, bank = MelAnalyzer(TINY).linear(tones(1600, (2,))), MelFilterbank(TINY)
    method = MAGNITUDES[magnitude]
    expected = method(mel, bank)
    torch.testing.assert_close(method(mel.cuda(), bank).cpu(), expected, atol=1e-3 * float(expected.max()), rtol=1e-3)


@pytest.mark.parametrize("phase", PHASES)
def test_waveforms_of_a_padded_batch(phase):
    mel = MelAnalyzer(TINY_LOG)(tones(1600, (3,))).double()
    inverter, lengths = MelInverter(TINY_LOG, phase=phase, n_iter=4), torch.tensor([mel.shape[-1], 20, 7])
    expected = inverter(mel, lengths=lengths)
    found = inverter(mel.cuda(), lengths=lengths)
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("gradient", ["unrolled", "checkpointed", 1, "phase_detached"])
@pytest.mark.parametrize("phase", PHASES)
def test_gradients(phase, gradient):
    mel = MelAnalyzer(TINY_LOG)(tones(1600)).double()
    gradients = []
    for device in ("cpu", "cuda"):
        leaf = mel.to(device).requires_grad_()
        MelInverter(TINY_LOG, phase=phase, n_iter=3, gradient=gradient)(leaf).square().sum().backward()
        gradients.append(leaf.grad.cpu())
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=1e-4)
