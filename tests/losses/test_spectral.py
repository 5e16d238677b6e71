"""Spectral losses: published definitions transcribed in float64, scales, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.losses.waveform_losses import pair, spectrum_of
from tests.problems import TINY, stft_convention
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.losses import ComplexLoss, MultiResolutionSTFTLoss, SpectralConvergenceLoss

CONVENTION = stft_convention()


def published_stft_loss(
    estimate: Tensor, reference: Tensor, n_fft: int, hop_length: int, win_length: int, eps: float
) -> Tensor:
    """Parallel WaveGAN's terms as auraloss defines them: one ratio and one mean for a batch."""
    x, y = (
        spectrum_of(each, n_fft, hop_length, win_length).abs().square().clamp(min=eps).sqrt()
        for each in (estimate, reference)
    )
    convergence = (y - x).square().sum().sqrt() / y.square().sum().sqrt()
    return convergence + (y.log() - x.log()).abs().sum() / y.numel()


def test_multi_resolution_of_an_item_is_the_published_loss():
    estimate, reference = torch.randn(2, 6000, dtype=torch.float64) * 0.3
    sizes = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
    expected = sum(published_stft_loss(estimate, reference, *size, eps=1e-8) for size in sizes) / 3
    loss = MultiResolutionSTFTLoss()
    torch.testing.assert_close(loss(estimate, reference), expected, rtol=1e-6, atol=0)
    assert abs(loss(estimate.float(), reference.float()) - expected) < 1e-5 * expected


def test_multi_resolution_of_a_batch_is_the_mean_of_its_items():
    """The published loss takes one ratio over the whole batch instead."""
    scales = torch.tensor([[0.01], [0.1], [1]])
    estimate, reference = torch.randn(2, 3, 2000, dtype=torch.float64) * scales
    estimate = estimate + reference
    size = (256, 64, 256)
    items = [published_stft_loss(estimate[i], reference[i], *size, eps=1e-30) for i in range(3)]
    result = MultiResolutionSTFTLoss([size], floor=1e-15)(estimate, reference)
    torch.testing.assert_close(result, torch.stack(items).mean(), rtol=1e-9, atol=0)
    assert abs(result - published_stft_loss(estimate, reference, *size, eps=1e-30)) > 1e-3


def test_a_resolution_may_be_any_convention():
    estimate, reference = pair(4000)
    expected = MultiResolutionSTFTLoss([(64, 16, 64), (1024, 256, 1024)])(estimate, reference)
    hifigan = stft_convention(n_fft=1024, hop_length=256)
    result = MultiResolutionSTFTLoss([CONVENTION, hifigan])(estimate, reference)
    torch.testing.assert_close(result, expected)
    loss = MultiResolutionSTFTLoss([TINY, "hifigan_22k"])
    assert [stft.convention.n_fft for stft in loss.stfts] == [128, 1024]


def test_spectral_convergence():
    estimate, reference = pair()
    x, y = (spectrum_of(each, 64, 16, 64).abs() for each in (estimate, reference))
    expected = (x - y).square().sum().sqrt() / y.square().sum().sqrt()
    loss = SpectralConvergenceLoss(CONVENTION)
    torch.testing.assert_close(loss(estimate, reference), expected)
    silence = torch.zeros_like(reference)
    assert loss(silence, reference) == 1
    two = torch.tensor(2.0, dtype=torch.float64)
    torch.testing.assert_close(loss(3 * reference, reference), two)
    assert loss(reference, silence) == pytest.approx(100)
    assert loss(1e9 * estimate, reference) <= 101
    assert loss(-reference, reference) == 0


def test_complex_loss():
    estimate, reference = pair()
    spectra = (spectrum_of(each, 64, 16, 64) for each in (estimate, reference))
    x, y = (torch.polar(each.abs() ** 0.3, each.angle()) for each in spectra)
    expected = {1: (x - y).abs().mean(), 2: (x - y).abs().square().mean().sqrt()}
    for p, value in expected.items():
        loss = ComplexLoss(CONVENTION, p=p, floor=1e-12)
        torch.testing.assert_close(loss(estimate, reference), value)
    loss = ComplexLoss(CONVENTION)
    assert loss(-reference, reference) > 1.9 * loss(torch.zeros_like(reference), reference)


def test_scales():
    estimate, reference = pair(items=(2,))
    convergence = SpectralConvergenceLoss(CONVENTION)
    expected = convergence(estimate, reference)
    for scale in (1e-8, 1e8):
        single = convergence((scale * estimate).float(), (scale * reference).float())
        torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=0)
    quiet = 1e-3 * estimate, 1e-3 * reference
    multi = MultiResolutionSTFTLoss([(64, 16, 64)], floor=1e-9)
    torch.testing.assert_close(multi(*quiet), multi(estimate, reference))
    compressed = ComplexLoss(CONVENTION, floor=1e-12)
    torch.testing.assert_close(compressed(*quiet), 1e-3**0.3 * compressed(estimate, reference))


def test_wrong_options_are_refused():
    for resolutions in ([], [(64, 16)], [64], "hifigan_22k"):
        with pytest.raises(InputError, match="n_fft, hop_length, win_length"):
            MultiResolutionSTFTLoss(resolutions)
    with pytest.raises(ConventionError, match="no preset '64'"):
        MultiResolutionSTFTLoss(["64"])
    with pytest.raises(InputError, match="exponent"):
        ComplexLoss(TINY, exponent=0)
    with pytest.raises(InputError, match="root mean square"):
        ComplexLoss(TINY, p=0)
    with pytest.raises(InputError, match="did you mean 'exponent'"):
        ComplexLoss(TINY, exponnent=0.3)


@pytest.mark.parametrize(
    "make", [lambda: SpectralConvergenceLoss(CONVENTION), MultiResolutionSTFTLoss]
)
def test_second_derivatives_are_finite_at_equality(make):
    waveform = torch.randn(4000, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        make()(waveform, waveform.detach()), waveform, create_graph=True
    )
    (second,) = torch.autograd.grad((gradient + gradient.square()).sum(), waveform)
    assert torch.isfinite(second).all()
