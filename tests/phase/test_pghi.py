"""PGHI against the paper's heap integration, on tones, glides, clicks, noise and silence."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from tests.phase.sinusoids import (
    CONVENTION,
    F64,
    GLIDE,
    TIME,
    WINDOWS_AND_HOPS,
    inner_error_db,
    sinusoid,
    spectrum_of,
)
from tests.problems import stft_convention, tones
from torchmelinv._utils.control_flow import fixed_control_flow
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.pghi import (
    _GAUSSIAN,
    TOLERANCE,
    _gaussian,
    finish_angles,
    pghi,
    phase_steps,
)
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.transforms.window import window_table


def integrate_by_heap(weight: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Integrate one item's angles in the paper's order, in float64 on the CPU."""
    rows, columns = weight.shape[1:]
    width = columns + 2  # a silent border gives every bin all neighbors

    def bordered(table: Tensor) -> np.ndarray:
        after = 1 + columns - table.shape[-1], 1 + rows - table.shape[-2]
        return pad(table[0].double().cpu(), (1, after[0], 1, after[1])).numpy().ravel()

    weights = bordered(weight)
    order = np.argsort(-weights, kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    rank, bin_of_rank, step_down, step_right = (
        each.tolist() for each in (ranks, order, bordered(down), bordered(right))
    )
    waiting = bytearray((weights > 0).tobytes())
    angle = [0.0] * len(weights)
    for seed in bin_of_rank[: int((weights > 0).sum())]:
        heap = [rank[seed]] if waiting[seed] else []
        waiting[seed] = 0
        while heap:
            current = bin_of_rank[heapq.heappop(heap)]
            for neighbor, step in (
                (current + 1, step_right[current]),
                (current - 1, -step_right[current - 1]),
                (current + width, step_down[current]),
                (current - width, -step_down[current - width]),
            ):
                if waiting[neighbor]:
                    waiting[neighbor] = 0
                    angle[neighbor] = angle[current] + step
                    heapq.heappush(heap, rank[neighbor])
    return torch.tensor(angle, dtype=torch.float64).reshape(1, rows + 2, width)[:, 1:-1, 1:-1]


def pghi_heap(magnitude: Tensor, convention: STFTConvention, seed: int = 0) -> Tensor:
    """Return PGHI's angles in the paper's order of integration: a heap, one bin after another."""
    results = []
    for item in magnitude.detach().split(1):
        steps = phase_steps(item, convention)
        angles = integrate_by_heap(*steps).to(magnitude)
        audible = (steps[0] > 0).to(angles.dtype)
        results.append(finish_angles(audible, angles, convention, seed))
    return torch.cat(results)


BOTH = pytest.mark.parametrize("method", [pghi, pghi_heap])


def transcription(
    magnitude: Tensor, n_fft: int, hop: int, center: float
) -> dict[tuple[int, int], float]:
    """Run algorithm 1 of Průša et al. for one item and a Hann window.

    Returns the angle of each bin above the tolerance, by frame n and bin m.
    """
    frames, bins = magnitude.shape
    level = magnitude.log().tolist()
    gamma = 0.25645 * n_fft**2
    in_time, in_frequency = {}, {}
    for n in range(frames):
        for m in range(bins):
            above, below = level[n][m + 1 if m + 1 < bins else m - 1], level[n][m - 1 if m else 1]
            after, before = level[min(n + 1, frames - 1)][m], level[max(n - 1, 0)][m]
            frequency = 2 * math.pi * hop * m / n_fft
            in_time[n, m] = hop * n_fft / gamma * (above - below) / 2 + frequency
            centering = 2 * math.pi * center / n_fft
            in_frequency[n, m] = -gamma / (hop * n_fft) * (after - before) / 2 - centering
    remaining = {key for key in in_time if magnitude[key] > TOLERANCE * magnitude.max()}
    angle: dict[tuple[int, int], float] = {}
    while remaining:
        loudest = max(remaining, key=lambda key: float(magnitude[key]))
        remaining.remove(loudest)
        angle[loudest] = -2 * math.pi * center * loudest[1] / n_fft  # 0 at the window's center
        heap = {loudest}
        while heap:
            n, m = max(heap, key=lambda key: float(magnitude[key]))
            heap.remove((n, m))
            for to, slope, sign in (
                ((n + 1, m), in_time, 1),
                ((n - 1, m), in_time, -1),
                ((n, m + 1), in_frequency, 1),
                ((n, m - 1), in_frequency, -1),
            ):
                if to in remaining:
                    angle[to] = angle[n, m] + sign * (slope[n, m] + slope[to]) / 2
                    remaining.remove(to)
                    heap.add(to)
    return angle


def test_the_heap_integration_is_the_papers():
    convention = stft_convention(n_fft=16, hop_length=4)
    magnitude = torch.rand(1, 9, 9, dtype=F64) ** 4 + 1e-9
    magnitude[0, 5] = 1e-9  # below the tolerance: separates two parts
    result = pghi_heap(magnitude, convention)[0]
    expected = transcription(magnitude[0], 16, 4, 8)
    assert 60 < len(expected) < 81
    for key, angle in expected.items():
        assert math.cos(float(result[key]) - angle) > 1 - 1e-12
    random = random_phasors(0, 9, 9, F64, magnitude.device).angle()[5]
    difference = result[5] - (random - math.pi * torch.arange(9))
    torch.testing.assert_close(difference.cos(), torch.ones(9, dtype=F64))


@BOTH
@pytest.mark.parametrize("position", [10.0, 10.3, 20.5, 41.8])
def test_a_sinusoid_between_bins_is_reconstructed(method, position):
    magnitude = spectrum_of(sinusoid(position)).abs()
    assert inner_error_db(method(magnitude, CONVENTION), magnitude) < -34


@pytest.mark.parametrize("convention", WINDOWS_AND_HOPS)
def test_every_window_and_alignment(convention):
    magnitude = spectrum_of(sinusoid(20.3, convention), convention).abs()
    assert inner_error_db(pghi(magnitude, convention), magnitude, convention) < -23


def test_glides_clicks_and_noise_beat_random_phases():
    clicks = (TIME.remainder(97) == 0).to(F64)
    for signal, bound in ((GLIDE, -30), (clicks, -15), (torch.randn(2000, dtype=F64), -10)):
        magnitude = spectrum_of(signal).abs()
        phasors = random_phasors(0, *magnitude.shape[1:], F64, magnitude.device)
        random = inner_error_db(phasors.angle()[None], magnitude)
        tree = inner_error_db(pghi(magnitude, CONVENTION), magnitude)
        assert tree < bound < random - 5
        # All bins of clicks are equally loud, so that rounding chooses the paths.
        if signal is not clicks:
            assert tree < inner_error_db(pghi_heap(magnitude, CONVENTION), magnitude) + 1


def test_both_orders_of_integration_agree_on_a_tone():
    magnitude = spectrum_of(sinusoid(10.3)).abs()
    lobe = (slice(None), slice(None), slice(9, 12))
    difference = pghi(magnitude, CONVENTION)[lobe] - pghi_heap(magnitude, CONVENTION)[lobe]
    assert ((difference - difference[:, :1, :1]).cos() > 0.999).all()


def test_the_gaussians_are_fitted_in_least_squares():
    """The fit gives the paper's value for Hann; without a fit, the window's sum gives γ."""
    position = torch.linspace(-0.5, 0.5, 2001, dtype=F64)
    outside = torch.linspace(0.5, 1.5, 2001, dtype=F64)
    candidates = torch.arange(0.2, 0.35, 0.0005, dtype=F64)[:, None]
    for window, power in (("hann", 1.0), ("povey", 0.85)):
        values = (math.pi * position).cos().square() ** power
        error = (values - (-math.pi * position.square() / candidates).exp()).square().sum(-1)
        error = error + 2 * (-2 * math.pi * outside.square() / candidates).exp().sum(-1)
        assert abs(float(candidates[error.argmin()]) - _GAUSSIAN[window]) < 2e-3
        table = window_table(CONVENTION.replace(window=window))
        assert abs(_gaussian(CONVENTION.replace(window=table)) - _GAUSSIAN[window]) < 0.02


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_angles_do_not_depend_on_scale_batch_and_padding(method, dtype):
    magnitude = spectrum_of(tones(1000, (3,), dtype)).abs()
    angles = method(magnitude, CONVENTION)
    assert (angles.dtype, angles.shape) == (dtype, magnitude.shape)
    assert ((angles >= 0) & (angles < 6.2832)).all()
    assert torch.equal(angles, method(magnitude * 2.0**-40, CONVENTION))
    assert ((method(magnitude * 3.7, CONVENTION) - angles).cos() > 1 - 1e-4).all()
    assert torch.equal(angles[1:2], method(magnitude[1:2], CONVENTION))
    padded = torch.cat([magnitude, torch.zeros_like(magnitude[:, :9])], 1)
    difference = method(padded, CONVENTION)[:, : magnitude.shape[1]] - angles
    assert (difference.cos() > 1 - 1e-6).all()


@BOTH
def test_silent_bins_get_random_angles_by_the_seed_and_no_gradient_passes(method):
    magnitude = spectrum_of(tones(1000, (2,))).abs()
    magnitude[0], magnitude[1, 5:9] = 0, 0
    angles = method(magnitude.requires_grad_(), CONVENTION)
    assert angles.isfinite().all()
    assert not angles.requires_grad
    other_seed = method(magnitude, CONVENTION, seed=1)
    silent = magnitude == 0
    assert torch.equal(other_seed[~silent], angles[~silent])
    assert (other_seed != angles)[silent].float().mean() > 0.9


def test_the_phase_of_a_smooth_magnitude_of_a_mel_is_random():
    """And that of a magnitude with fine structure is the same for a mel as without."""
    smooth = torch.ones(1, 40, CONVENTION.n_freqs)
    step = pghi(smooth, CONVENTION, of_mel=True).diff(dim=-1)
    assert step.cos().mean().abs() < 0.1
    assert pghi(smooth, CONVENTION).diff(dim=-1).cos().std() < 1e-3
    magnitude = spectrum_of(torch.randn(2000, dtype=F64)).abs()
    of_mel, of_signal = (pghi(magnitude, CONVENTION, of_mel=each) for each in (True, False))
    assert ((of_mel - of_signal).cos() > 1 - 1e-9).float().mean() > 0.95


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (F64, 1e-9)])
@pytest.mark.parametrize("of_mel", [False, True])
def test_the_angles_are_the_same_without_a_look_at_values(dtype, tolerance, of_mel):
    noise = 0.1 * torch.randn(1, 2000, dtype=F64)
    magnitude = spectrum_of(torch.cat([tones(2000, (2,)).double(), noise])).abs().to(dtype)
    magnitude[1, 20:] = 0
    expected = pghi(magnitude, CONVENTION, of_mel=of_mel)
    with fixed_control_flow():
        difference = pghi(magnitude, CONVENTION, of_mel=of_mel) - expected
    assert difference.sin().abs().max() < tolerance
    assert (difference.cos() > 0).all()
