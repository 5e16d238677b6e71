"""The mel loss: its definition in several conventions, a mel as an argument, padding, scales."""

from __future__ import annotations

import math

import pytest
import torch

from tests.losses.waveform_losses import SMALL_RELATIVE, pair
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv import MelInverter, MelSpectrogram, preset
from torchmelinv.conventions import Compression
from torchmelinv.errors import InputError
from torchmelinv.losses import MelLoss


@pytest.mark.parametrize(
    "name", ["hifigan_22k", "whisper_80", "librosa_melspectrogram", "tacotron2"]
)
def test_distance_of_natural_logarithms(name):
    convention = preset(name)
    estimate, reference = pair(8000)
    x, y = (MelSpectrogram(convention)(each) for each in (estimate, reference))
    level = convention.level
    if level.log is None:
        floor = 1e-5**convention.power
        expected = (x.clamp(min=floor).log() - y.clamp(min=floor).log()).abs().mean()
    else:
        scale = level.affine[1] if level.affine else 1
        base = math.log(10) if level.log == "log10" else 1
        expected = (x - y).abs().mean() * scale / level.multiplier * base
    torch.testing.assert_close(MelLoss(name)(estimate, reference), expected)


def test_distance_of_linear_mels_and_mean_squared_error():
    estimate, reference = pair()
    for convention in (TINY, TINY_POWER, TINY_LOG):
        floor = convention.level.floor or 0
        linear_mel = MelSpectrogram(convention).linear_mel
        x, y = (linear_mel(each).clamp(min=floor) for each in (estimate, reference))
        loss = MelLoss(convention, log=False)
        torch.testing.assert_close(loss(estimate, reference), (x - y).abs().mean())
        squared = MelLoss(convention, log=False, p=2)(estimate, reference).square()
        torch.testing.assert_close(squared, torch.nn.functional.mse_loss(x, y))


@pytest.mark.parametrize("convention", [TINY_LOG, SMALL_RELATIVE])
@pytest.mark.parametrize("log", [True, False])
def test_one_argument_may_be_a_mel(convention, log):
    estimate, reference = pair(items=(2,))
    loss = MelLoss(convention, log)
    expected = loss(estimate, reference)
    torch.testing.assert_close(loss(estimate, loss.mel_spectrogram(reference)), expected)
    torch.testing.assert_close(loss(loss.mel_spectrogram(estimate), reference), expected)
    lengths = torch.tensor([400, 300])
    mel = loss.mel_spectrogram(reference, lengths=lengths)
    mel[1, :, convention.n_frames(300) :] = math.nan
    estimate.requires_grad_()
    result = loss(estimate, mel, lengths=lengths)
    torch.testing.assert_close(result, loss(estimate, reference, lengths=lengths))
    assert torch.autograd.grad(result, estimate)[0].isfinite().all()


def test_gradients_pass_through_an_inversion_to_its_mel():
    target = tones(640)
    mel = MelSpectrogram(TINY_LOG)(target).requires_grad_()
    loss = MelLoss(TINY_LOG)(MelInverter(TINY_LOG, n_iter=2)(mel), target)
    (gradient,) = torch.autograd.grad(loss, mel)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_scales():
    both = pair(items=(2,))
    quiet = [1e-3 * each for each in both]
    loss = MelLoss(TINY.replace(level=Compression(log="ln", floor=1e-9)))
    torch.testing.assert_close(loss(*quiet), loss(*both))
    linear = MelLoss(TINY_POWER, log=False, p=2)
    torch.testing.assert_close(linear(*quiet), 1e-6 * linear(*both))


def test_wrong_inputs_are_refused():
    with pytest.raises(InputError, match="root mean square"):
        MelLoss(TINY, p=3)
    with pytest.raises(InputError, match="n_frames"):
        MelLoss(TINY)(tones(640), torch.zeros(16, 7))
    with pytest.raises(InputError, match=r"MelLoss has no option 'lg'.*'log'"):
        MelLoss(TINY, lg=False)
