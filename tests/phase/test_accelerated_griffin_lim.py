"""Accelerated Griffin-Lim: the paper's recursion, its special cases, the range of parameters."""

from __future__ import annotations

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
)
from tests.problems import tones
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phases import AcceleratedGriffinLim, FastGriffinLim, GriffinLim


@pytest.mark.parametrize("parameters", [(0.99, 0.99, 1.1), (0.09, 1.1, 1.25), (0.5, 0.0, 0.7)])
@PADDED
def test_lock_step_with_the_paper(convention, parameters):
    magnitude, angles, projections = problem(convention)
    initial, method = torch.polar(magnitude, angles), AcceleratedGriffinLim(*parameters)
    for n_iter in ITERATIONS:
        waveform = solve(method, magnitude, convention, n_iter, init=angles).waveform
        expected = accelerated(initial, projections, n_iter, *parameters)
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_equal_alpha_and_beta_without_relaxation_is_fast_griffin_lim(momentum):
    magnitude = magnitude_of(ZERO, (2,))
    method = AcceleratedGriffinLim(momentum, momentum, gamma=1.0)
    expected = solve(FastGriffinLim(momentum), magnitude, ZERO, 9).waveform
    torch.testing.assert_close(solve(method, magnitude, ZERO, 9).waveform, expected, **LOCK_STEP)


def test_without_extrapolation_and_relaxation_it_is_griffin_lim():
    magnitude = magnitude_of(ZERO)
    waveform = solve(AcceleratedGriffinLim(0, 0, 1), magnitude, ZERO, 5).waveform
    expected = solve(GriffinLim(), magnitude, ZERO, 5).waveform
    torch.testing.assert_close(waveform, expected, **LOCK_STEP)


def test_the_true_phase_is_a_fixed_point():
    expected = tones(N_SAMPLES, (2,), F64)
    magnitude = magnitude_of(ZERO, (2,))
    waveform = solve(AcceleratedGriffinLim(), magnitude, ZERO, 10, init_waveform=expected).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-9, rtol=0)


def test_it_converges_faster_than_griffin_lim():
    magnitude = magnitude_of(ZERO)
    accelerated_solution, plain = (
        solve(method, magnitude, ZERO, 60, return_info=True)
        for method in (AcceleratedGriffinLim(), GriffinLim())
    )
    assert accelerated_solution.residual < 0.7 * plain.residual


@pytest.mark.parametrize("name", ["alpha", "beta", "gamma"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.9", None, True])
def test_invalid_parameters(name, value):
    with pytest.raises(InputError, match=name):
        AcceleratedGriffinLim(**{name: value})


@pytest.mark.parametrize("gamma", [0, 2.5])
def test_gamma_out_of_range(gamma):
    with pytest.raises(InputError, match=r"gamma .* from 0.001 to 2"):
        AcceleratedGriffinLim(gamma=gamma)


@pytest.mark.parametrize("gamma", [1.5, 1.34, 1.9])
def test_a_gamma_that_diverges_for_the_beta_is_refused(gamma):
    with pytest.raises(InputError, match="does not settle"):
        AcceleratedGriffinLim(gamma=gamma)
    AcceleratedGriffinLim(beta=0.0, gamma=1.9)
