"""Starts: the promised magnitude, the promised angles, and randomness that depends on seed, frame and bin alone."""

from __future__ import annotations

import pytest
import torch

from tests.problems import frame_convention
from torchmelinv.errors import InputError
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.phase.start import borrow_phase, start_spectrum

CPU = torch.device("cpu")
FRAME = frame_convention(n_fft=16, hop_length=4)
MAGNITUDE = torch.rand(2, 6, 9, dtype=torch.float64)


def phasors(seed: int = 0, n_frames: int = 200, n_freqs: int = 300) -> torch.Tensor:
    return random_phasors(seed, n_frames, n_freqs, torch.float64, CPU)


def test_random_phasors_are_uniform_on_the_circle_and_independent():
    unit = phasors()
    torch.testing.assert_close(unit.abs(), torch.ones_like(unit.real))
    grid = unit.angle()
    counts = torch.histc(grid, 36, -torch.pi, torch.pi)
    expected = grid.numel() / 36
    assert ((counts - expected).square() / expected).sum() < 80  # chi-square with 35 degrees: 1e-5 above this
    for moved in (unit.roll(1, 0), unit.roll(1, 1), unit.roll((1, 1), (0, 1)), unit.square().roll(1, 1)):
        assert (unit * moved.conj()).mean().abs() < 4 / grid.numel() ** 0.5
    assert unit.mean().abs() < 4 / grid.numel() ** 0.5


def test_random_phasors_are_a_function_of_seed_frame_and_bin():
    before = torch.random.get_rng_state()
    longer = phasors()
    assert torch.equal(longer[:50], phasors(n_frames=50))
    assert torch.equal(longer[:, :40], phasors(n_freqs=40))
    for seed in (1, -1, 2**40, 2**32):
        assert (longer != phasors(seed)).double().mean() > 0.99
    assert torch.equal(before, torch.random.get_rng_state())


def test_starts_have_the_magnitude_and_the_same_angles_for_each_item():
    zero = start_spectrum("zero", 0, MAGNITUDE, FRAME)
    torch.testing.assert_close(zero, MAGNITUDE + 0j)
    random = start_spectrum("random", 3, MAGNITUDE, FRAME)
    torch.testing.assert_close(random.abs(), MAGNITUDE)
    torch.testing.assert_close(random[0].angle(), random[1].angle())
    given = torch.rand_like(MAGNITUDE)
    torch.testing.assert_close(start_spectrum(given, 0, MAGNITUDE, FRAME), torch.polar(MAGNITUDE, given))


def test_unknown_starts():
    with pytest.raises(InputError, match="did you mean 'random'"):
        start_spectrum("randm", 0, MAGNITUDE, FRAME)


def test_borrowed_phase():
    spectrum = torch.randn(2, 6, 9, dtype=torch.complex128)
    spectrum[0, 0, 0] = 0
    result = borrow_phase(spectrum, MAGNITUDE)
    torch.testing.assert_close(result.abs(), MAGNITUDE)
    torch.testing.assert_close(result.sgn(), torch.where(spectrum == 0, 1, spectrum).sgn())
