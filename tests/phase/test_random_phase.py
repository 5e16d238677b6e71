"""Random phases: uniform, independent, and a function of seed, frame and bin alone."""

from __future__ import annotations

import torch

from torchmelinv.phase.random_phase import random_phasors

CPU = torch.device("cpu")


def phasors(seed: int = 0, n_frames: int = 200, n_freqs: int = 300, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return random_phasors(seed, n_frames, n_freqs, dtype, CPU)


def test_uniform_on_the_circle_and_independent():
    unit = phasors()
    torch.testing.assert_close(unit.abs(), torch.ones_like(unit.real))
    grid = unit.angle()
    counts = torch.histc(grid, 36, -torch.pi, torch.pi)
    expected = grid.numel() / 36
    assert ((counts - expected).square() / expected).sum() < 80  # chi-square with 35 degrees: 1e-5 above this
    for moved in (unit.roll(1, 0), unit.roll(1, 1), unit.roll((1, 1), (0, 1)), unit.square().roll(1, 1)):
        assert (unit * moved.conj()).mean().abs() < 4 / grid.numel() ** 0.5
    assert unit.mean().abs() < 4 / grid.numel() ** 0.5


def test_seeds_are_independent():
    unit = phasors()
    for seed in (1, 2, -1, 2**32, 2**40):
        other = phasors(seed)
        assert (unit != other).double().mean() > 0.99
        assert (unit * other.conj()).mean().abs() < 4 / unit.numel() ** 0.5


def test_a_function_of_seed_frame_and_bin():
    before = torch.random.get_rng_state()
    longer = phasors()
    assert torch.equal(longer[:50], phasors(n_frames=50))
    assert torch.equal(longer[:, :40], phasors(n_freqs=40))
    assert torch.equal(before, torch.random.get_rng_state())


def test_long_items_whose_table_is_not_kept_begin_the_same():
    long = phasors(n_frames=1100, n_freqs=2049)  # beyond 2**22 phasors, rounded up to a power of two of frames
    assert torch.equal(long[:300, :7], phasors(n_frames=300, n_freqs=7))


def test_precisions_agree():
    single = phasors(dtype=torch.float32)
    assert single.dtype == torch.complex64
    assert (single - phasors()).abs().max() < 2e-6  # 2π in single precision is good to 5e-7
