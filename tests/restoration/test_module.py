"""MelRestoration: batches, padding, levels, untouched values."""

from __future__ import annotations

import pytest
import torch

import torchmelinv as tmi
from tests.restoration.smoothed import (
    CONVENTION,
    NAME,
    NAMES,
    all_restorations,
    real,
    smooth,
)
from torchmelinv.restoration import (
    MelRestoration,
)


@pytest.mark.parametrize("name", NAMES)
def test_items_of_a_batch_are_independent_and_padding_does_not_count(name):
    restore = MelRestoration(NAME, all_restorations()[name])
    mel = torch.stack([real()[:, :100], smooth()[:, :100]])
    single = torch.stack([restore(each) for each in mel])
    torch.testing.assert_close(restore(mel), single, atol=2e-5, rtol=1e-5)
    padded = torch.nn.functional.pad(mel, (0, 40), value=3.0)
    result = restore(padded, lengths=torch.tensor([100, 100]))[..., :100]
    torch.testing.assert_close(result, single, atol=2e-5, rtol=1e-5)


def test_values_in_any_level():
    decibels = CONVENTION.replace(
        level=tmi.Compression(log="log10", floor=1e-5, multiplier=20, shift=-4, affine=(-50, 50))
    )
    values = tmi.convert(smooth(), NAME, decibels).mel
    restored = tmi.convert(MelRestoration(decibels)(values), decibels, NAME).mel
    torch.testing.assert_close(restored, MelRestoration(NAME)(smooth()), atol=1e-3, rtol=1e-3)


def test_untouched_values_are_returned_bit_for_bit_with_lengths():
    mel = real()[None].clone()
    mel[0, 3, 4] = -13.0  # below the floor
    restored = MelRestoration(NAME)(mel, lengths=torch.tensor([mel.shape[-1]]))
    assert torch.equal(restored, mel)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_stay_finite_beside_padding_that_overflows(name):
    mel = torch.nn.functional.pad(smooth()[None, :, :60], (0, 20), value=100.0).requires_grad_()
    restore = MelRestoration(NAME, all_restorations()[name])
    restore(mel, lengths=torch.tensor([60]))[..., :60].sum().backward()
    assert mel.grad is not None
    assert torch.isfinite(mel.grad).all()
