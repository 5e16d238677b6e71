"""PGHI: the paper's algorithm step by step, tones and clicks that come back, and what both orders of integration must keep."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.phase.sinusoids import CONVENTION, F64, GLIDE, TIME, WINDOWS_AND_HOPS, inner_error_db, sinusoid, spectrum_of
from tests.problems import frame_convention, tones
from torchmelinv.phase.pghi import _GAUSSIAN, TOLERANCE, _gaussian, pghi, pghi_heap
from torchmelinv.phase.random_phase import random_phasors
from torchmelinv.window import window_table

BOTH = pytest.mark.parametrize("method", [pghi, pghi_heap])


def _paper(magnitude: Tensor, n_fft: int, hop: int, centre: float) -> dict[tuple[int, int], float]:
    """Algorithm 1 of Průša et al. for one item and a Hann window, bin by bin; the angle of every bin above the tolerance."""
    frames, bins = magnitude.shape
    level = magnitude.log().tolist()
    gamma = 0.25645 * n_fft**2
    in_time, in_frequency = {}, {}
    for n in range(frames):
        for m in range(bins):
            above, below = level[n][m + 1 if m + 1 < bins else m - 1], level[n][m - 1 if m else 1]
            after, before = level[min(n + 1, frames - 1)][m], level[max(n - 1, 0)][m]
            in_time[n, m] = hop * n_fft / gamma * (above - below) / 2 + 2 * math.pi * hop * m / n_fft
            in_frequency[n, m] = -gamma / (hop * n_fft) * (after - before) / 2 - 2 * math.pi * centre / n_fft
    remaining = {key for key in in_time if magnitude[key] > TOLERANCE * magnitude.max()}
    angle: dict[tuple[int, int], float] = {}
    while remaining:
        loudest = max(remaining, key=lambda key: float(magnitude[key]))
        remaining.remove(loudest)
        angle[loudest] = -2 * math.pi * centre * loudest[1] / n_fft  # 0 from the window's centre
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


def test_the_heap_is_the_papers():
    convention = frame_convention(n_fft=16, hop_length=4)
    magnitude = torch.rand(1, 9, 9, dtype=F64) ** 4 + 1e-9
    magnitude[0, 5] = 1e-9  # below the tolerance: two parts that are not connected
    result = pghi_heap(magnitude, convention)[0]
    expected = _paper(magnitude[0], 16, 4, 8)
    assert 60 < len(expected) < 81
    for key, angle in expected.items():
        assert math.cos(float(result[key]) - angle) > 1 - 1e-12
    chance = random_phasors(0, 9, 9, F64, magnitude.device).angle()[5] - math.pi * torch.arange(9)
    torch.testing.assert_close((result[5] - chance).cos(), torch.ones(9, dtype=F64))


@BOTH
@pytest.mark.parametrize("position", [10.0, 10.3, 20.5, 41.8])
def test_a_sinusoid_between_bins_is_reconstructed(method, position):
    magnitude = spectrum_of(sinusoid(position)).abs()
    assert inner_error_db(method(magnitude, CONVENTION), magnitude) < -34


@pytest.mark.parametrize("convention", WINDOWS_AND_HOPS)
def test_every_window_and_alignment(convention):
    magnitude = spectrum_of(sinusoid(20.3, convention), convention).abs()
    assert inner_error_db(pghi(magnitude, convention), magnitude, convention) < -23


def test_a_glide_clicks_and_noise_beat_random_phases():
    clicks = (TIME.remainder(97) == 0).to(F64)
    for signal, bound in ((GLIDE, -30), (clicks, -15), (torch.randn(2000, dtype=F64), -10)):
        magnitude = spectrum_of(signal).abs()
        random = inner_error_db(random_phasors(0, *magnitude.shape[1:], F64, magnitude.device).angle()[None], magnitude)
        tree, heap = (inner_error_db(method(magnitude, CONVENTION), magnitude) for method in (pghi, pghi_heap))
        assert tree < bound < random - 5
        if signal is not clicks:  # whose bins are all equally loud, so that rounding chooses the paths
            assert tree < heap + 1


def test_both_orders_agree_on_a_tone():
    magnitude = spectrum_of(sinusoid(10.3)).abs()
    lobe = (slice(None), slice(None), slice(9, 12))
    apart = pghi(magnitude, CONVENTION)[lobe] - pghi_heap(magnitude, CONVENTION)[lobe]
    assert ((apart - apart[:, :1, :1]).cos() > 0.999).all()


def test_povey_is_fitted_as_hann_is():
    position = torch.linspace(-0.5, 0.5, 2001, dtype=F64)
    for window, power in (("hann", 1.0), ("povey", 0.85)):
        table = (math.pi * position).cos().square() ** power
        outside = torch.linspace(0.5, 1.5, 2001, dtype=F64)
        candidates = torch.arange(0.2, 0.35, 0.0005, dtype=F64)[:, None]
        error = (table - (-math.pi * position.square() / candidates).exp()).square().sum(-1)
        error = error + 2 * (-2 * math.pi * outside.square() / candidates).exp().sum(-1)
        assert abs(float(candidates[error.argmin()]) - _GAUSSIAN[window]) < 2e-3
        by_numbers = CONVENTION.replace(window=window_table(CONVENTION.replace(window=window)))
        assert abs(_gaussian(by_numbers) - _GAUSSIAN[window]) < 0.02  # a window's sum in place of a fit


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_scale_batch_and_padding(method, dtype):
    magnitude = spectrum_of(tones(1000, (3,), dtype)).abs()
    angles = method(magnitude, CONVENTION)
    assert (angles.dtype, angles.shape) == (dtype, magnitude.shape)
    assert ((angles >= 0) & (angles < 6.2832)).all()
    assert torch.equal(angles, method(magnitude * 2.0**-40, CONVENTION))
    assert ((method(magnitude * 3.7, CONVENTION) - angles).cos() > 1 - 1e-4).all()
    assert torch.equal(angles[1:2], method(magnitude[1:2], CONVENTION))
    padded = torch.cat([magnitude, torch.zeros_like(magnitude[:, :9])], 1)
    assert ((method(padded, CONVENTION)[:, : magnitude.shape[1]] - angles).cos() > 1 - 1e-6).all()


@BOTH
def test_silence_seed_and_gradient(method):
    magnitude = spectrum_of(tones(1000, (2,))).abs()
    magnitude[0], magnitude[1, 5:9] = 0, 0
    angles = method(magnitude.requires_grad_(), CONVENTION)
    assert angles.isfinite().all()
    assert not angles.requires_grad
    other = method(magnitude, CONVENTION, seed=1)
    silent = magnitude == 0
    assert torch.equal(other[~silent], angles[~silent])
    assert (other != angles)[silent].float().mean() > 0.9
