"""The consistency loss: spectra of signals and others, torch's transforms, padding, gradients."""

from __future__ import annotations

import pytest
import torch

from tests.losses.waveform_losses import SMALL, fill_padding
from tests.problems import PADDINGS, stft_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.losses import ConsistencyLoss
from torchmelinv.transforms.stft import STFT

CONVENTION = stft_convention()


@pytest.mark.parametrize("padding", PADDINGS)
def test_zero_for_spectra_of_signals(padding):
    stft = STFT(stft_convention(padding=padding))
    loss = ConsistencyLoss(stft.convention)
    n_samples = stft.default_length(20)
    signal = torch.zeros(n_samples, dtype=torch.float64)
    signal[96:-96] = tones(n_samples - 192, dtype=torch.float64)  # where all windows reach
    spectrum = stft(signal)
    assert spectrum.shape[-1] == 20
    assert loss(spectrum) < 1e-12
    assert loss(spectrum.abs(), spectrum.angle()) < 1e-12
    assert 0.1 < loss(spectrum.abs(), 3 * torch.rand(33, 20, dtype=torch.float64)) < 1.2


def test_torchs_transforms():
    window = torch.hann_window(64, dtype=torch.float64)
    spectrum = torch.randn(33, 21, dtype=torch.complex128)
    spectrum.imag[[0, -1]] = 0
    signal = torch.istft(spectrum, 64, 16, window=window)
    consistent = torch.stft(signal, 64, 16, window=window, return_complex=True)
    expected = (spectrum - consistent).norm() / spectrum.norm()
    torch.testing.assert_close(ConsistencyLoss(CONVENTION)(spectrum), expected)


def test_a_signal_that_ends_between_frames():
    spectrum = STFT(CONVENTION)(tones(409, (2,), torch.float64))
    loss = ConsistencyLoss(CONVENTION)
    assert loss(spectrum, length=409) < 1e-12
    assert loss(spectrum) > 1e-6
    assert loss(spectrum, length=409, lengths=[26, 26]) < 1e-12
    with pytest.raises(InputError, match="gives 27 frames; the spectrum has 26"):
        loss(spectrum, length=416)


@pytest.mark.parametrize("padding", PADDINGS)
def test_padded_batches_are_their_items_weighted_by_frames(padding):
    spectrum = torch.randn(3, 33, 20, dtype=torch.complex128)
    lengths = torch.tensor([20, 11, 3])
    loss = ConsistencyLoss(stft_convention(padding=padding))
    items = torch.stack([loss(spectrum[i, :, :n]) for i, n in enumerate(lengths)])
    padded = fill_padding(spectrum.clone(), lengths).requires_grad_()
    result = loss(padded, lengths=lengths)
    torch.testing.assert_close(result, (lengths * items).sum() / lengths.sum())
    assert torch.autograd.grad(result, padded)[0].isfinite().all()


def test_gradients_are_finite_differences():
    loss = ConsistencyLoss(SMALL)
    spectrum = torch.randn(2, 9, 6, dtype=torch.complex128).requires_grad_()
    assert torch.autograd.gradcheck(loss, spectrum)
    assert torch.autograd.gradgradcheck(loss, spectrum[:1].detach().requires_grad_())
    parts = [each.detach().requires_grad_() for each in (spectrum.abs(), spectrum.angle())]
    lengths = torch.tensor([6, 4])
    assert torch.autograd.gradcheck(lambda *parts: loss(*parts, lengths=lengths), parts)


@pytest.mark.parametrize("scale", [0, 1e-30, 1e-8, 1, 1e8])
def test_finite_in_silence_and_at_all_scales(scale):
    loss = ConsistencyLoss(CONVENTION)
    spectrum = torch.randn(2, 33, 10, dtype=torch.complex64)
    leaf = (scale * spectrum).requires_grad_()
    result = loss(leaf)
    torch.testing.assert_close(result, loss(spectrum) if scale else torch.zeros(()))
    assert torch.view_as_real(torch.autograd.grad(result, leaf)[0]).isfinite().all()
    leaves = (scale * spectrum.abs()).requires_grad_(), spectrum.angle().requires_grad_()
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_convention_may_be_a_preset():
    spectrum = STFT("hifigan_22k")(tones(22016))
    assert ConsistencyLoss("hifigan_22k")(spectrum) < 1e-5


def test_wrong_inputs_are_refused():
    loss = ConsistencyLoss(CONVENTION)
    with pytest.raises(InputError, match="complex64"):
        loss(torch.zeros(33, 4))
    with pytest.raises(InputError, match="33, n_frames"):
        loss(torch.zeros(32, 4, dtype=torch.complex64))
    with pytest.raises(InputError, match="magnitude and phase"):
        loss(torch.zeros(33, 4), torch.zeros(33, 5))
