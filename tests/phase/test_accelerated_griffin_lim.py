"""Accelerated Griffin-Lim: the recursion of the paper, fast Griffin-Lim at one setting of its numbers, what it is worth."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64, LOCK_STEP, N_SAMPLES, PADDED, STEPS, ZERO, accelerated, magnitude_of, problem
from tests.problems import tones
from torchmelinv.errors import InputError
from torchmelinv.functional import accelerated_griffin_lim, fast_griffin_lim, griffin_lim
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.retrieve import retrieve


@pytest.mark.parametrize("numbers", [(0.99, 0.99, 1.1), (0.09, 1.1, 1.25), (0.5, 0.0, 0.7)])
@PADDED
def test_lock_step_with_the_paper(convention, numbers):
    magnitude, angles, sets = problem(convention)
    for n_iter in STEPS:
        ours = accelerated_griffin_lim(magnitude, convention, n_iter, *numbers, start=angles)
        expected = accelerated(torch.polar(magnitude, angles), sets, n_iter, *numbers)
        torch.testing.assert_close(ours, expected, **LOCK_STEP)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_inertia_like_momentum_and_no_relaxation_is_fast_griffin_lim(momentum):
    magnitude = magnitude_of(ZERO, (2,))
    ours = accelerated_griffin_lim(magnitude, ZERO, 9, momentum, momentum, relaxation=1.0)
    torch.testing.assert_close(ours, fast_griffin_lim(magnitude, ZERO, 9, momentum), **LOCK_STEP)


def test_without_momentum_inertia_and_relaxation_it_is_griffin_lim():
    magnitude = magnitude_of(ZERO)
    torch.testing.assert_close(accelerated_griffin_lim(magnitude, ZERO, 5, 0, 0, 1), griffin_lim(magnitude, ZERO, 5), **LOCK_STEP)


def test_a_true_phase_is_a_fixed_point():
    waveform = tones(N_SAMPLES, (2,), F64)
    found = accelerated_griffin_lim(magnitude_of(ZERO, (2,)), ZERO, 10, start_waveform=waveform)
    torch.testing.assert_close(found, waveform, atol=1e-9, rtol=0)


def test_it_beats_griffin_lim():
    magnitude = magnitude_of(ZERO)
    ours, plain = (retrieve(each, magnitude, ZERO, 60, account=True) for each in (AcceleratedGriffinLim(), GriffinLim()))
    assert ours.residual < 0.7 * plain.residual


@pytest.mark.parametrize("name", ["momentum", "inertia", "relaxation"])
@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), "0.9", None, True])
def test_numbers_that_are_none(name, wrong):
    with pytest.raises(InputError, match=name):
        AcceleratedGriffinLim(**{name: wrong})


@pytest.mark.parametrize("wrong", [0, 2.5])
def test_a_relaxation_out_of_bounds(wrong):
    with pytest.raises(InputError, match=r"relaxation .* from 0.001 to 2"):
        AcceleratedGriffinLim(relaxation=wrong)


@pytest.mark.parametrize("relaxation", [1.5, 1.34, 1.9])
def test_relaxations_that_would_grow_by_themselves_are_refused(relaxation):
    with pytest.raises(InputError, match="to settle"):
        AcceleratedGriffinLim(relaxation=relaxation)
    AcceleratedGriffinLim(inertia=0.0, relaxation=1.9)
