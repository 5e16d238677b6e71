"""RAAR: the paper's recursion, the hand-over to fast Griffin-Lim, and the range of parameters."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.phase.papers import (
    F64,
    ITERATIONS,
    LOCK_STEP,
    N_SAMPLES,
    PADDED,
    ZERO,
    accelerated,
    magnitude_of,
    problem,
    raar,
)
from tests.problems import tones
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phases import RAAR, FastGriffinLim, GriffinLim, Then


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
@PADDED
def test_lock_step_with_the_paper(convention, beta):
    magnitude, angles, projections = problem(convention)
    initial = torch.polar(magnitude, angles)
    for n_iter in ITERATIONS:
        method = RAAR(beta, after=n_iter + 1)
        waveform = solve(method, magnitude, convention, n_iter, init=angles).waveform
        expected = raar(initial, projections, n_iter, beta)
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)


@PADDED
def test_lock_step_of_both_stages(convention):
    """Fast Griffin-Lim, which is Nenov's recursion at β = α and γ = 1, gets RAAR's signal."""
    magnitude, angles, projections = problem(convention)
    for after in (1, 2, 5):
        signal = raar(torch.polar(magnitude, angles), projections, after, 0.9)
        initial = projections.impose(projections.forward(signal))
        method = RAAR(0.9, after=after, momentum=0.99)
        for later in (1, 5):
            waveform = solve(method, magnitude, convention, after + later, init=angles).waveform
            expected = accelerated(initial, projections, later, 0.99, 0.99, 1.0)
            torch.testing.assert_close(waveform, expected, **LOCK_STEP)


def test_beta_0_changes_nothing():
    """β = 0 is c ← P_A(c), and c has the magnitude already."""
    magnitude, method = magnitude_of(ZERO), RAAR(0.0, after=None)
    initial, after = (solve(method, magnitude, ZERO, n_iter).waveform for n_iter in (0, 7))
    torch.testing.assert_close(after, initial)


def test_the_true_phase_is_a_fixed_point():
    expected = tones(N_SAMPLES, (2,), F64)
    magnitude = magnitude_of(ZERO, (2,))
    waveform = solve(RAAR(), magnitude, ZERO, 10, init_waveform=expected).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-9, rtol=0)


def test_both_stages_end_lower_than_either_alone():
    magnitude = magnitude_of(ZERO)
    both, alone, plain = (
        solve(method, magnitude, ZERO, 200, return_info=True).residual
        for method in (RAAR(), RAAR(after=None), GriffinLim())
    )
    assert both < min(alone, plain)


def test_the_default_is_raar_then_fast_griffin_lim():
    method = RAAR(0.8, 7, 0.5)
    alone = dataclasses.replace(method, after=None)
    assert method.stages(20) == [(alone, 7), (FastGriffinLim(0.5), 13)]
    magnitude = magnitude_of(ZERO)
    schedule = Then(RAAR(0.8, after=None), FastGriffinLim(0.5), 7)
    waveform, expected = (solve(each, magnitude, ZERO, 10).waveform for each in (method, schedule))
    assert torch.equal(waveform, expected)


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan"), "0.9", None, True])
def test_invalid_beta(beta):
    with pytest.raises(InputError, match=r"beta .* from 0 to 1"):
        RAAR(beta)
