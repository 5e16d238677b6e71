"""What all losses of waveforms have in common: padding, gradients, silence, scales, precisions."""

from __future__ import annotations

import pytest
import torch

from tests.losses.waveform_losses import each_loss, fill_padding, pair
from tests.problems import stft_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.losses import (
    ComplexLoss,
    MelLoss,
    MultiResolutionSTFTLoss,
    SpectralConvergenceLoss,
)
from torchmelinv.losses.padded import weighted_mean
from torchmelinv.metrics.distance import mean_of_valid


def test_means_without_lengths_are_plain_means():
    values = torch.rand(3, 4)
    assert torch.equal(mean_of_valid(values, None, 9, 2), values)
    assert weighted_mean(values, None) == values.mean()


@each_loss
def test_zero_at_equality_with_a_zero_gradient(loss):
    reference = tones(100, (2,), torch.float64)
    estimate = reference.clone().requires_grad_()
    result = loss(estimate, reference)
    assert result == 0
    assert not torch.autograd.grad(result, estimate)[0].any()


@each_loss
def test_padded_batches_are_their_items_weighted_by_frames(loss):
    estimate, reference = pair(items=(3,))
    lengths = torch.tensor([400, 250, 33])
    parts = [loss]
    if isinstance(loss, MultiResolutionSTFTLoss):
        parts = [MultiResolutionSTFTLoss([stft.convention]) for stft in loss.stfts]
    expected = 0.0
    for part in parts:
        items = [part(estimate[i, :n], reference[i, :n]) for i, n in enumerate(lengths)]
        if isinstance(part, MelLoss):
            convention = part.mel_spectrogram.convention
        elif isinstance(part, MultiResolutionSTFTLoss):
            convention = part.stfts[0].convention
        else:
            convention = part.stft.convention
        weights = torch.tensor([convention.n_frames(int(n)) for n in lengths])
        expected += (weights * torch.stack(items)).sum() / weights.sum() / len(parts)
    estimate = fill_padding(estimate, lengths).requires_grad_()
    result = loss(estimate, fill_padding(reference, lengths), lengths=lengths)
    torch.testing.assert_close(result, expected)
    (gradient,) = torch.autograd.grad(result, estimate)
    assert gradient.isfinite().all()
    assert not gradient[1, 250:].any()


def test_items_without_a_frame_have_no_weight():
    estimate, reference = pair(items=(2,))
    loss = SpectralConvergenceLoss(stft_convention(padding="none"))
    result = loss(estimate, reference, lengths=torch.tensor([400, 20]))
    torch.testing.assert_close(result, loss(estimate[0], reference[0]))
    assert loss(estimate, reference, lengths=torch.tensor([20, 20])) == 0


@each_loss
def test_gradients_are_finite_differences(loss):
    both = [each.clone().requires_grad_() for each in pair(30, (2,))]
    lengths = torch.tensor([30, 17])
    assert torch.autograd.gradcheck(
        lambda *waveforms: loss(*waveforms, lengths=lengths), both, eps=1e-7, atol=1e-5
    )
    item = [each.detach()[0, :20].requires_grad_() for each in both]
    assert torch.autograd.gradgradcheck(loss, item, eps=1e-7, atol=1e-4, rtol=1e-2)


@pytest.mark.parametrize("scale", [0, 1e-8, 1, 1e8])
@pytest.mark.parametrize("reference_scale", [0, 1e-8, 1, 1e8])
@each_loss
def test_finite_in_silence_and_at_all_scales(loss, scale, reference_scale):
    estimate, reference = pair(200, (2,), torch.float32)
    for first, second in ((estimate, reference), (estimate, estimate)):
        leaves = (scale * first).requires_grad_(), (reference_scale * second).requires_grad_()
        result = loss(*leaves)
        assert result.dtype == torch.float32
        assert result.isfinite()
        gradients = torch.autograd.grad(result, leaves)
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", ["hifigan_22k", "whisper_80"])
def test_usual_sizes_are_finite_in_silence_and_at_all_scales(name):
    estimate, reference = pair(3000, (1,), torch.float32)
    reference[..., :2000] = 0  # a pause
    losses = (
        MultiResolutionSTFTLoss(),
        MelLoss(name),
        MelLoss(name, log=False, p=2),
        ComplexLoss(name, p=2),
    )
    for loss in losses:
        for scale in (0, 1e-8, 1e8):
            for reference_scale in (0, 1e-8, 1e8):
                leaf = (scale * estimate).requires_grad_()
                result = loss(leaf, reference_scale * reference)
                assert result.isfinite()
                assert torch.autograd.grad(result, leaf)[0].isfinite().all()


@each_loss
def test_autocast_and_half_precision_are_computed_in_float32(loss):
    estimate, reference = pair(200, (2,), torch.float32)
    expected = loss(estimate, reference)
    with torch.autocast("cpu", torch.bfloat16):
        leaf = estimate.clone().requires_grad_()
        result = loss(leaf, reference)
    assert torch.equal(result, expected)
    assert torch.autograd.grad(result, leaf)[0].isfinite().all()
    half = estimate.half().requires_grad_()
    result = loss(half, reference.half())
    assert result.dtype == torch.float32
    assert abs(result - expected) < 0.05 * expected
    assert torch.autograd.grad(result, half)[0].isfinite().all()


@each_loss
def test_any_leading_dimensions(loss):
    estimate, reference = pair(100, (2, 3))
    items = [loss(estimate[i, j], reference[i, j]) for i in range(2) for j in range(3)]
    expected = torch.stack(items).mean()
    torch.testing.assert_close(loss(estimate, reference), expected)
    lengths = torch.full((2, 3), 100)
    torch.testing.assert_close(loss(estimate, reference, lengths=lengths), expected)


@each_loss
def test_wrong_inputs_are_refused(loss):
    estimate, reference = pair(100, (2,))
    for other in (reference[:, 1:], reference[:1], reference[0, :1], reference[None, None]):
        with pytest.raises(InputError, match=r"must be equal|must be \(…"):
            loss(estimate, other)
    with pytest.raises(InputError, match="at least one item"):
        loss(estimate[:0], reference[:0])
    with pytest.raises(InputError, match="lengths"):
        loss(estimate, reference, lengths=[100, 101])
    with pytest.raises(InputError, match="has type ndarray"):
        loss(estimate, reference.numpy())
