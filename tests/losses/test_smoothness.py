"""Losses of smoothed mels: definitions, padding, gradients in every corner, training."""

from __future__ import annotations

import math

import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels
from tests.restoration.smoothed import CONVENTION, NAME, real, smooth
from torchmelinv.errors import InputError
from torchmelinv.losses import ModulationSpectrumLoss, SmoothnessLoss


def test_a_real_mel_has_no_smoothness_and_a_filtered_one_has():
    loss = SmoothnessLoss(NAME)
    assert float(loss(smooth())) > 0.5 > float(loss(real()))
    torch.testing.assert_close(loss(smooth() + 1.5), loss(smooth()), atol=1e-3, rtol=1e-3)


def test_the_modulation_distance_is_that_of_the_definition():
    loss = ModulationSpectrumLoss(NAME)
    assert float(loss(real(), real())) == 0
    center = real().mean(-1, keepdim=True)
    scaled = center + 0.5 * (real() - center)  # ln √P falls by ln 2 wherever P is not small
    assert float(loss(scaled, real())) == pytest.approx(0.69, abs=0.08)
    assert float(loss(smooth(), real())) > 0.2


@pytest.mark.parametrize("name", ["smoothness", "modulation"])
def test_padding_does_not_count_and_items_are_weighted(name):
    def loss(mel, lengths=None):
        if name == "smoothness":
            return SmoothnessLoss(NAME)(mel, lengths=lengths)
        reference = real()[:, : mel.shape[-1]].expand_as(mel)
        return ModulationSpectrumLoss(NAME)(mel, reference, lengths=lengths)

    first, second = smooth()[:, :120], (0.5 * smooth())[:, :80]
    padded = torch.full((2, 80, 120), 4.0)
    padded[0], padded[1, :, :80] = first, second
    expected = (120 * loss(first) + 80 * loss(second)) / 200
    torch.testing.assert_close(loss(padded, torch.tensor([120, 80])), expected)


@pytest.mark.parametrize("value", [None, -11.5, 0.0, 3.0])
@pytest.mark.parametrize("shape", [(80, 1), (80, 4), (2, 80, 50)])
def test_values_and_gradients_are_finite(value, shape):
    mel = torch.randn(shape) if value is None else torch.full(shape, value)
    mel.requires_grad_()
    result = SmoothnessLoss(NAME)(mel) + ModulationSpectrumLoss(NAME)(mel, torch.randn(shape))
    result.backward()
    assert torch.isfinite(result)
    assert mel.grad is not None
    assert torch.isfinite(mel.grad).all()


def test_gradients_are_those_of_finite_differences():
    convention = CONVENTION.replace(n_mels=8, level=tmi.Compression(log="ln", floor=1e-9))
    generator = torch.Generator().manual_seed(1)
    mel = torch.randn(8, 20, generator=generator).double()
    for _ in range(2):
        mel = torch.nn.functional.avg_pool1d(mel, 5, 1, 2)
    mel.requires_grad_()
    other = torch.randn(8, 20, generator=generator).double()
    smoothness, modulation = SmoothnessLoss(convention), ModulationSpectrumLoss(convention)
    assert float(smoothness(mel).detach()) > 0
    assert torch.autograd.gradcheck(smoothness, mel)
    assert torch.autograd.gradcheck(lambda each: modulation(each, other), mel)


def test_a_generator_can_be_told_that_it_blurs():
    mel = smooth()[:, :80].clone().requires_grad_()
    reference = mel.detach().clone()
    optimizer, loss = torch.optim.Adam([mel], 0.01), SmoothnessLoss(NAME)
    start = float(loss(reference))
    for _ in range(60):
        optimizer.zero_grad()
        (loss(mel) + (mel - reference).square().mean()).backward()
        optimizer.step()
    assert float(loss(mel.detach())) < 0.5 * start


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_mel_that_diverged_has_no_finite_loss(value):
    mel = smooth().clone()
    mel[3, 4] = value
    assert not torch.isfinite(SmoothnessLoss(NAME)(mel))
    assert not torch.isfinite(ModulationSpectrumLoss(NAME)(mel, real()))


def test_strong_blur_still_has_a_gradient():
    losses = []
    for width in (2.0, 3.0, 5.0):
        mel = mels.degrade(real(), "blurred", CONVENTION, blur=width).requires_grad_()
        loss = SmoothnessLoss(NAME)(mel)
        loss.backward()
        assert mel.grad is not None
        assert bool(mel.grad.any())
        losses.append(float(loss.detach()))
    assert losses == sorted(losses)


def test_refusals():
    with pytest.raises(InputError, match="mel"):
        SmoothnessLoss(NAME)(torch.zeros(3, 9))
    with pytest.raises(InputError, match="must be equal"):
        ModulationSpectrumLoss(NAME)(torch.zeros(80, 9), torch.zeros(80, 8))
