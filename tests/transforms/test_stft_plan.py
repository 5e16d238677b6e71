"""STFTPlan: adjoints, the consistency projection, and items of different lengths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import PADDINGS, stft_convention, tones
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import ragged_plan, stft_plan


def inner_product(first: Tensor, second: Tensor) -> Tensor:
    """⟨first, second⟩ with real and imaginary parts counted as separate numbers."""
    return (first.conj() * second).real.sum()


@pytest.mark.parametrize("n_fft", [64, 63])
@pytest.mark.parametrize("padding", PADDINGS)
def test_adjoints(padding, n_fft):
    """⟨A x, c⟩ = ⟨x, Aᵀ c⟩ and ⟨S c, x⟩ = ⟨c, Sᵀ x⟩."""
    stft = STFT(stft_convention(n_fft=n_fft, win_length=60, padding=padding))
    uniform = stft.plan(21, 320, tones(1, dtype=torch.float64))
    ragged = ragged_plan(torch.tensor([21, 9]), torch.tensor([320, 128]), uniform)
    for plan in (uniform, ragged):
        signal = tones(320, (2,), torch.float64)
        spectrum = torch.randn(2, 21, n_fft // 2 + 1, dtype=torch.complex128)
        # No real signal has these imaginary parts, and the inverse ignores them.
        spectrum.imag[..., 0] = 0
        if n_fft % 2 == 0:
            spectrum.imag[..., -1] = 0
        torch.testing.assert_close(
            inner_product(signal, plan.forward_adjoint(spectrum.clone())),
            inner_product(plan.forward(signal), spectrum),
        )
        torch.testing.assert_close(
            inner_product(spectrum, plan.inverse_adjoint(signal)),
            inner_product(plan.inverse(spectrum), signal),
        )


@pytest.mark.parametrize("padding", PADDINGS)
def test_consistent_is_idempotent(padding):
    plan = STFT(stft_convention(padding=padding)).plan(21, 320, tones(1, dtype=torch.float64))
    spectrum = torch.randn(2, 21, 33, dtype=torch.complex128)
    consistent = plan.consistent(spectrum)
    # Without padding, few windows reach the samples at both ends, and these are tapered.
    frames = slice(4, -4) if padding == "none" else slice(None)
    torch.testing.assert_close(plan.consistent(consistent)[:, frames], consistent[:, frames])


@pytest.mark.parametrize("padding", PADDINGS)
def test_inverse_of_padded_items_equals_that_of_each_item_alone(padding):
    stft = STFT(stft_convention(padding=padding))
    frame_counts = torch.tensor([12, 7])
    sample_counts = stft.default_length(frame_counts)
    rows = torch.randn(2, 12, 33, dtype=torch.complex128)
    rows[1, 7:] = 0
    plan = stft.plan(12, int(sample_counts[0]), rows.real)
    together = ragged_plan(frame_counts, sample_counts, plan).inverse(rows)
    for i, n_frames in enumerate(frame_counts.tolist()):
        n_samples = stft.default_length(n_frames)
        alone = stft.plan(n_frames, n_samples, rows.real).inverse(rows[i : i + 1, :n_frames])[0]
        torch.testing.assert_close(together[i, :n_samples], alone)
        assert (together[i, n_samples:] == 0).all()


def test_masked_zeroes_padding_frames():
    plan = STFT(stft_convention()).plan(5, 64, torch.zeros(1))
    spectrum = torch.ones(2, 5, 33, dtype=torch.complex64)
    assert plan.masked(spectrum) is spectrum
    ragged = ragged_plan(torch.tensor([5, 2]), torch.tensor([64, 16]), plan)
    assert ragged.n_valid.tolist() == [64, 16]
    assert ragged.masked(spectrum).real[..., 0].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


@pytest.mark.parametrize("padding", PADDINGS)
def test_tables_are_built_without_reading_values_on_the_device(padding):
    convention = stft_convention(padding=padding)
    plan = stft_plan(convention, 21, 320, torch.float32, torch.device("meta"))
    spectrum = plan.forward(torch.zeros(2, 320, device="meta"))
    assert plan.inverse(spectrum).shape == (2, 320)
    assert spectrum.device.type == "meta"
