"""RAAR and the schedule that ends in fast Griffin-Lim: the equation, both together in lock-step, the ends of its number."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64, LOCK_STEP, N_SAMPLES, PADDED, STEPS, ZERO, accelerated, magnitude_of, problem, raar
from tests.problems import tones
from torchmelinv import functional
from torchmelinv.errors import InputError
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import Then
from torchmelinv.phase.raar import Raar, raar_then_fast_griffin_lim
from torchmelinv.phase.retrieve import retrieve


@pytest.mark.parametrize("relaxation", [0.0, 0.5, 0.9, 1.0])
@PADDED
def test_lock_step_with_the_paper(convention, relaxation):
    magnitude, angles, sets = problem(convention)
    for n_iter in STEPS:
        ours = functional.raar(magnitude, convention, n_iter, relaxation, after=n_iter + 1, start=angles)
        torch.testing.assert_close(ours, raar(torch.polar(magnitude, angles), sets, n_iter, relaxation), **LOCK_STEP)


@PADDED
def test_the_schedule_in_lock_step(convention):
    """The signal of the first part is all that the second one gets; Perraudin's recursion is Nenov's at β = α and γ = 1."""
    magnitude, angles, sets = problem(convention)
    for before in (1, 2, 5):
        for n_iter in (before + 1, before + 5):
            ours = functional.raar(magnitude, convention, n_iter, 0.9, after=before, momentum=0.99, start=angles)
            waveform = raar(torch.polar(magnitude, angles), sets, before, 0.9)
            start = sets.impose(sets.forward(waveform))
            expected = accelerated(start, sets, n_iter - before, 0.99, 0.99, 1.0)
            torch.testing.assert_close(ours, expected, **LOCK_STEP)


def test_without_relaxation_nothing_moves():
    """β = 0 is c ← P_A(c), which has its magnitude already."""
    magnitude = magnitude_of(ZERO)
    start = retrieve(Raar(0.0), magnitude, ZERO, 0).waveform
    torch.testing.assert_close(retrieve(Raar(0.0), magnitude, ZERO, 7).waveform, start)


def test_a_true_phase_is_a_fixed_point():
    waveform = tones(N_SAMPLES, (2,), F64)
    found = functional.raar(magnitude_of(ZERO, (2,)), ZERO, 10, start_waveform=waveform)
    torch.testing.assert_close(found, waveform, atol=1e-9, rtol=0)


def test_the_schedule_settles_lower_than_either_alone():
    magnitude = magnitude_of(ZERO)
    both, alone, plain = (
        retrieve(each, magnitude, ZERO, 200, account=True).residual
        for each in (raar_then_fast_griffin_lim(), Raar(), GriffinLim())
    )
    assert both < min(alone, plain)


def test_the_schedule_is_a_record_of_its_numbers():
    assert raar_then_fast_griffin_lim(0.8, 7, 0.5) == Then(Raar(0.8), GriffinLim(0.5), 7)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), "0.9", None, True])
def test_a_relaxation_that_is_none(wrong):
    with pytest.raises(InputError, match=r"relaxation .* from 0 to 1"):
        Raar(wrong)
