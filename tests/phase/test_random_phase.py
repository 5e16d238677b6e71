"""Random phases: uniform, independent, and a function of seed, frame and bin only."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.phase.random_phase import frame_phasors, random_phasors

CPU = torch.device("cpu")


def phasors(
    seed: int = 0, n_frames: int = 200, n_freqs: int = 300, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    return random_phasors(seed, n_frames, n_freqs, dtype, CPU)


def test_phases_are_uniform_and_independent():
    unit = phasors()
    torch.testing.assert_close(unit.abs(), torch.ones_like(unit.real))
    count = unit.numel()
    expected = count / 36
    histogram = torch.histc(unit.angle(), 36, -torch.pi, torch.pi)
    chi_square = ((histogram - expected).square() / expected).sum()
    assert chi_square < 80  # with 35 degrees of freedom, larger with a probability of 1e-5
    neighbors = (unit.roll(1, 0), unit.roll(1, 1), unit.roll((1, 1), (0, 1)))
    for other in (*neighbors, unit.square().roll(1, 1)):
        assert (unit * other.conj()).mean().abs() < 4 / count**0.5
    assert unit.mean().abs() < 4 / count**0.5


def test_seeds_are_independent():
    unit = phasors()
    for seed in (1, 2, -1, 2**32, 2**40):
        other = phasors(seed)
        assert (unit != other).double().mean() > 0.99
        assert (unit * other.conj()).mean().abs() < 4 / unit.numel() ** 0.5


def test_phases_do_not_depend_on_the_size_and_use_no_generator():
    before = torch.random.get_rng_state()
    longer = phasors()
    assert torch.equal(longer[:50], phasors(n_frames=50))
    assert torch.equal(longer[:, :40], phasors(n_freqs=40))
    assert torch.equal(before, torch.random.get_rng_state())


def test_long_items_without_a_cached_table_begin_with_the_same_phases():
    # More than 2**22 phasors, with the frames rounded up to a power of two.
    long = phasors(n_frames=1100, n_freqs=2049)
    assert torch.equal(long[:300, :7], phasors(n_frames=300, n_freqs=7))


def test_single_precision_agrees_with_double():
    single = phasors(dtype=torch.float32)
    assert single.dtype == torch.complex64
    assert (single - phasors()).abs().max() < 2e-6  # 2π in single precision has an error of 5e-7


@pytest.mark.parametrize("seed", [0, 5, 2**40 + 5])
def test_the_phasors_of_one_frame_are_a_row_of_the_table(seed):
    args = 9, torch.float32, torch.device("cpu")
    table = random_phasors(seed, 7, *args)
    assert torch.equal(torch.stack([frame_phasors(seed, t, *args) for t in range(7)]), table)
