"""What kernels are told is what the plan has."""

from __future__ import annotations

import pytest
import torch

from tests.problems import PADDINGS, frame_convention
from torchmelinv.frame import Frame, ragged_plan


@pytest.mark.parametrize("padding", PADDINGS)
def test_a_plans_layout(padding):
    convention = frame_convention(padding=padding)
    layout = Frame(convention).plan(9, 150, torch.zeros(1)).layout
    assert layout[:5] == (64, 16, convention.left_padding, 9, 150)
    assert layout.n_freqs == 33
    assert layout.reflect == padding.endswith("reflect")
    assert layout.ends is None
    assert layout.window.shape == (64,)
    assert layout.inverse_envelope.shape == (150,)


def test_items_of_unlike_length_have_ends_and_envelopes_of_their_own():
    plan = Frame(frame_convention()).plan(9, 150, torch.zeros(1))
    layout = ragged_plan(torch.tensor([9, 4]), torch.tensor([150, 50]), plan).layout
    assert layout.ends.dtype == torch.int32
    assert layout.ends.tolist() == [150, 50]
    assert layout.inverse_envelope.shape == (2, 150)
    assert (layout.inverse_envelope[1, 50:] == 0).all()
