"""The noise of a new frame: its level, and none where the envelope has structure."""

from __future__ import annotations

import pytest
import torch

from tests.problems import stft_convention
from torchmelinv.phase.noise_frame import noise_frame
from torchmelinv.transforms.window import window_table

F64 = torch.float64


@pytest.mark.parametrize("win_length", [128, 64])
def test_the_noise_of_a_frame_has_the_magnitude_of_its_envelope(win_length):
    """The mean power of windowed noise is the envelope squared; with structure there is none."""
    convention = stft_convention(n_fft=128, hop_length=32, win_length=win_length)
    envelope = torch.linspace(1, 2, 65, dtype=F64).expand(1, 3, 65)
    window = window_table(convention)
    power = torch.zeros(65, dtype=F64)
    for frame in range(400):
        samples, part = noise_frame(envelope, frame, window, convention)
        power += torch.fft.rfft(samples[0] * window).abs().square() / 400
    assert part > 0.9
    # Within the mean over nine bins, and without DC and half the rate, which are real.
    mean, expected = power[4:-4].mean(), envelope[0, -1, 4:-4].square().mean()
    assert abs(mean / expected - 1) < 0.1
    rough = envelope * torch.tensor([1.0, 9.0], dtype=F64).repeat(33)[:65]
    samples, part = noise_frame(rough, 0, window, convention)
    assert part == 0
    assert samples.eq(0).all()
