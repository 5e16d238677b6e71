"""The layout that kernels get is that of the plan."""

from __future__ import annotations

import pytest
import torch

from tests.problems import PADDINGS, stft_convention
from torchmelinv.transforms.stft import STFT
from torchmelinv.transforms.stft_plan import ragged_plan


@pytest.mark.parametrize("padding", PADDINGS)
def test_the_layout_of_a_plan(padding):
    convention = stft_convention(padding=padding)
    layout = STFT(convention).plan(9, 150, torch.zeros(1)).layout
    assert layout[:5] == (64, 16, convention.left_padding, 9, 150)
    assert layout.n_freqs == 33
    assert layout.reflect == padding.endswith("reflect")
    assert layout.n_valid is None
    assert layout.window.shape == (64,)
    assert layout.inverse_sumsquare.shape == (150,)


def test_items_of_different_length_have_their_own_tables():
    plan = STFT(stft_convention()).plan(9, 150, torch.zeros(1))
    layout = ragged_plan(torch.tensor([9, 4]), torch.tensor([150, 50]), plan).layout
    assert layout.n_valid.dtype == torch.int32
    assert layout.n_valid.tolist() == [150, 50]
    assert layout.inverse_sumsquare.shape == (2, 150)
    assert (layout.inverse_sumsquare[1, 50:] == 0).all()
