"""ADMM: the splitting of the paper, Griffin-Lim and RAAR at the two ends of its number."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64, LOCK_STEP, N_FRAMES, N_SAMPLES, PADDED, STEPS, ZERO, admm, magnitude_of, problem
from tests.problems import tones
from torchmelinv import functional
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem
from torchmelinv.phase.raar import Raar
from torchmelinv.phase.retrieve import retrieve


@pytest.mark.parametrize("softness", [0.0, 0.1, 0.5, 3.0])
@PADDED
def test_lock_step_with_the_paper(convention, softness):
    magnitude, angles, sets = problem(convention)
    for n_iter in STEPS:
        ours = functional.admm(magnitude, convention, n_iter, softness, start=angles)
        torch.testing.assert_close(ours, admm(torch.polar(magnitude, angles), sets, n_iter, softness), **LOCK_STEP)


@PADDED
def test_softness_one_is_griffin_lim(convention):
    magnitude = magnitude_of(convention, (2,))
    for n_iter in STEPS:
        ours = functional.admm(magnitude, convention, n_iter, softness=1.0)
        torch.testing.assert_close(ours, functional.griffin_lim(magnitude, convention, n_iter), **LOCK_STEP)


@PADDED
def test_no_softness_is_raar_without_averaging(convention):
    """ρ = 0 and β = 1 are both Douglas-Rachford, with the sets in the other order: from R_C(start), one step on, they are one."""
    magnitude, angles, sets = problem(convention)
    start = torch.polar(magnitude, angles)
    plan = Frame(convention).plan(N_FRAMES, N_SAMPLES, magnitude)
    here = PhaseProblem(MagnitudeTarget(magnitude.mT[None]), plan)
    admm_, raar = Admm(0.0), Raar(1.0)
    one = admm_.step(here, admm_.init(here, start.mT[None].clone()))
    other = raar.init(here, (2 * sets.consistent(start) - start).mT[None])
    for _ in range(5):
        one, other = admm_.step(here, one), raar.step(here, other)
        torch.testing.assert_close(admm_.signal(here, one), raar.signal(here, other), **LOCK_STEP)


def test_a_true_phase_is_a_fixed_point():
    waveform = tones(N_SAMPLES, (2,), F64)
    found = functional.admm(magnitude_of(ZERO, (2,)), ZERO, 10, start_waveform=waveform)
    torch.testing.assert_close(found, waveform, atol=1e-9, rtol=0)


def test_it_beats_fast_griffin_lim_in_few_iterations_where_frames_overlap_by_half():
    half = ZERO.replace(hop_length=32)
    magnitude = Frame(half).analyse(tones(1600, dtype=F64)).abs()
    ours, fast = (retrieve(each, magnitude, half, 16, account=True) for each in (Admm(), GriffinLim(0.99)))
    assert ours.residual < fast.residual


def test_a_state_is_not_overwritten():
    """`impose` may overwrite what it gets, and a hook may keep a state."""
    states = []
    keep = lambda _, state: states.append((state, [field.clone() for field in state]))  # noqa: E731
    functional.admm(magnitude_of(ZERO), ZERO, 4, hook=keep, account=True)
    assert all(torch.equal(one, other) for state, copies in states for one, other in zip(state, copies, strict=True))


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), "0.1", None, False])
def test_a_softness_that_is_none(wrong):
    with pytest.raises(InputError, match="softness"):
        Admm(wrong)
