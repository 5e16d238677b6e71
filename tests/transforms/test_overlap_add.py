"""Framing and overlap-add are adjoint to each other, for any hop, with gradients of any order."""

from __future__ import annotations

import pytest
import torch

from tests.pretended_device import pretended_device, recording
from torchmelinv.transforms.overlap_add import frame_signal, overlap_add

SIZES = pytest.mark.parametrize(
    ("n_fft", "hop_length"), [(8, 2), (8, 3), (7, 3), (8, 8), (8, 11), (5, 1)]
)


@SIZES
def test_adjoint_and_gradients(n_fft, hop_length):
    n_frames, n_samples = 6, hop_length * 5 + n_fft
    signal = torch.randn(2, n_samples, dtype=torch.float64, requires_grad=True)
    frames = torch.randn(2, n_frames, n_fft, dtype=torch.float64, requires_grad=True)
    window = torch.rand(n_fft, dtype=torch.float64)
    framed = frame_signal(signal, window, hop_length)
    added = overlap_add(frames, window, hop_length)
    assert framed.shape == frames.shape
    assert added.shape == signal.shape
    torch.testing.assert_close((framed * frames).sum(), (signal * added).sum())
    assert torch.autograd.gradcheck(lambda x: frame_signal(x, window, hop_length), signal)
    assert torch.autograd.gradgradcheck(lambda x: overlap_add(x, window, hop_length), frames)


def test_overlap_add_of_a_small_example():
    torch.testing.assert_close(
        overlap_add(torch.ones(3, 4), torch.tensor([1.0, 2, 3, 4]), 2),
        torch.tensor([1.0, 2, 4, 6, 4, 6, 3, 4]),
    )


@SIZES
def test_two_launches_add_the_same_on_a_device(n_fft, hop_length):
    frames, window = torch.randn(2, 3, 6, n_fft), torch.rand(n_fft)
    with pretended_device() as device:
        there = (frames.to(device), window.to(device))
        with recording() as record:
            added = overlap_add(*there, hop_length)
        added = added.cpu()
    assert record.launches == 2
    torch.testing.assert_close(added, overlap_add(frames, window, hop_length))
