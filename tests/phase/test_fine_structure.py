"""The weight of estimated phase: 1 for signals, 0 for smooth magnitudes, at any level."""

from __future__ import annotations

import torch

from tests.problems import stft_convention, tones
from torchmelinv.phase.fine_structure import (
    FULL_STRUCTURE,
    newest_structure_weight,
    structure_weight,
)
from torchmelinv.transforms.stft import STFT

CONVENTION = stft_convention(n_fft=256, hop_length=64)
FLOOR = 1e-6


def weight_of(magnitude, convention=CONVENTION):
    relative = magnitude / magnitude.amax((-2, -1), keepdim=True)
    return structure_weight(torch.where(relative > FLOOR, relative, 0), convention)


def test_magnitudes_of_signals_have_structure_nearly_everywhere():
    noise = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    click = torch.zeros(1, 8000)
    click[:, 4000] = 1
    for waveform in (noise, tones(8000, (1,), torch.float32)):
        magnitude = STFT(CONVENTION)(waveform).abs().mT
        loud = magnitude > 1e-3 * magnitude.max()
        assert (weight_of(magnitude)[loud] == 1).float().mean() > 0.97
    # Clicks are flat along frequency and bent along time, at any overlap.
    for hop_length in (16, 64):
        convention = CONVENTION.replace(hop_length=hop_length)
        magnitude = STFT(convention)(click).abs().mT
        loudest = magnitude > 0.8 * magnitude.max()
        assert weight_of(magnitude, convention)[loudest].mean() > 0.9


def test_the_neighborhood_follows_the_window():
    """A zero-padded frame and a smaller hop sample the same structure more finely."""
    noise = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    for changes in ({"n_fft": 1024}, {"hop_length": 16}):
        convention = CONVENTION.replace(**changes)
        magnitude = STFT(convention)(noise).abs().mT
        loud = magnitude > 1e-3 * magnitude.max()
        assert (weight_of(magnitude, convention)[loud] == 1).float().mean() > 0.97


def test_flat_magnitudes_have_none():
    magnitude = torch.full((1, 9, 20), 3.0)
    assert weight_of(magnitude).max() < 1e-3
    magnitude[:, 3] = 0
    assert weight_of(magnitude).max() < 1e-3


def test_the_weight_is_the_deviation_of_the_logarithm():
    """Of 9 bins, cut at the ends and without silent ones, and of 3 frames about a line."""
    generator = torch.Generator().manual_seed(1)
    log = 0.05 * torch.randn(6, 30, generator=generator, dtype=torch.float64)
    log[2, 20] = -20.0  # silent
    magnitude = log.exp()
    magnitude = magnitude / magnitude.max()
    audible = torch.where(magnitude > FLOOR, magnitude, 0)
    weight = structure_weight(audible[None], CONVENTION)[0]
    for frame, bin in [(1, 0), (3, 7), (4, 29), (2, 17), (4, 20), (4, 4)]:
        along = magnitude[frame, max(0, bin - 4) : bin + 5]
        across = log[frame - 1 : frame + 2, bin]
        slope = (across[2] - across[0]) / 2
        line = across.mean() + slope * torch.tensor([-1.0, 0, 1])
        variance = along[along > FLOOR].log().var(unbiased=False)
        variance = variance + (across - line).square().mean()
        expected = min(1.0, float(variance) ** 0.5 / FULL_STRUCTURE)
        torch.testing.assert_close(float(weight[frame, bin]), expected, atol=1e-9, rtol=1e-7)
    assert weight[2, 20] == 0
    assert weight[1, 20] == weight[3, 20] == 1  # beside silence


def test_the_newest_frame_has_the_weight_that_is_known():
    generator = torch.Generator().manual_seed(1)
    magnitude = (0.05 * torch.randn(1, 9, 30, generator=generator, dtype=torch.float64)).exp()
    relative = magnitude / magnitude.max()
    log = relative.log()
    along = torch.stack([log[0, -1, max(0, k - 4) : k + 5].var(unbiased=False) for k in range(30)])
    across = (log[0, -1] - 2 * log[0, -2] + log[0, -3]).square() / 18
    expected = ((along + across).sqrt() / 0.3).clamp(max=1)[None]
    result = newest_structure_weight(relative, CONVENTION)
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=1e-7)
    alone = newest_structure_weight(relative[:, -1:], CONVENTION)
    torch.testing.assert_close(alone, (along.sqrt() / 0.3)[None], atol=1e-9, rtol=1e-7)


def test_a_decay_is_no_structure():
    frames = torch.arange(8.0)[None, :, None]
    assert weight_of((-0.5 * frames).exp().expand(1, 8, 20)).max() < 0.02  # rounding


def test_silence_has_no_weight():
    assert structure_weight(torch.zeros(2, 3, 4), CONVENTION).eq(0).all()


def test_one_frame_and_few_bins():
    assert structure_weight(torch.tensor([[[1.0, 0.1]]]), CONVENTION).eq(1).all()
    assert structure_weight(torch.ones(1, 1, 1), CONVENTION).eq(0).all()
    assert newest_structure_weight(torch.ones(1, 1, 1), CONVENTION).eq(0).all()
