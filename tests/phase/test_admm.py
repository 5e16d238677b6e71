"""ADMM: the paper's splitting, and its special cases Griffin-Lim and RAAR."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import (
    F64,
    ITERATIONS,
    LOCK_STEP,
    N_FRAMES,
    N_SAMPLES,
    PADDED,
    ZERO,
    admm,
    magnitude_of,
    problem,
)
from tests.problems import tones
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MagnitudeTarget
from torchmelinv.phases import ADMM, RAAR, GriffinLim
from torchmelinv.transforms.stft import STFT


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.5, 3.0])
@PADDED
def test_lock_step_with_the_paper(convention, rho):
    magnitude, angles, projections = problem(convention)
    initial = torch.polar(magnitude, angles)
    for n_iter in ITERATIONS:
        waveform = solve(ADMM(rho), magnitude, convention, n_iter, init=angles).waveform
        expected = admm(initial, projections, n_iter, rho)
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)


@PADDED
def test_rho_1_is_griffin_lim(convention):
    magnitude = magnitude_of(convention, (2,))
    for n_iter in ITERATIONS:
        waveform = solve(ADMM(rho=1.0), magnitude, convention, n_iter).waveform
        expected = solve(GriffinLim(), magnitude, convention, n_iter).waveform
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)


@PADDED
def test_rho_0_is_raar_without_averaging(convention):
    """ρ = 0 and β = 1 are both Douglas-Rachford, with the sets in opposite order.

    After one step of ADMM from c, its signals are those of RAAR from R_C(c).
    """
    magnitude, angles, projections = problem(convention)
    initial = torch.polar(magnitude, angles)
    plan = STFT(convention).plan(N_FRAMES, N_SAMPLES, magnitude)
    target = PhaseProblem(MagnitudeTarget(magnitude.mT[None]), plan)
    admm_method, raar_method = ADMM(0.0), RAAR(1.0, after=None)
    admm_state = admm_method.init(target, initial.mT[None].clone())
    admm_state = admm_method.step(target, admm_state)
    reflected = 2 * projections.consistent(initial) - initial
    raar_state = raar_method.init(target, reflected.mT[None])
    for _ in range(5):
        admm_state = admm_method.step(target, admm_state)
        raar_state = raar_method.step(target, raar_state)
        signal = admm_method.signal(target, admm_state)
        expected = raar_method.signal(target, raar_state)
        torch.testing.assert_close(signal, expected, **LOCK_STEP)


def test_the_true_phase_is_a_fixed_point():
    expected = tones(N_SAMPLES, (2,), F64)
    magnitude = magnitude_of(ZERO, (2,))
    waveform = solve(ADMM(), magnitude, ZERO, 10, init_waveform=expected).waveform
    torch.testing.assert_close(waveform, expected, atol=1e-9, rtol=0)


def test_it_beats_fast_griffin_lim_at_half_overlap_in_few_iterations():
    half = ZERO.replace(hop_length=32)
    magnitude = STFT(half)(tones(1600, dtype=F64)).abs()
    admm_solution, fast = (
        solve(method, magnitude, half, 16, return_info=True)
        for method in (ADMM(), GriffinLim(0.99))
    )
    assert admm_solution.residual < fast.residual


def test_states_are_not_overwritten():
    """`impose` may overwrite its input, but a hook may keep a state."""
    states = []

    def keep(_, state):
        states.append((state, [field.clone() for field in state]))

    solve(ADMM(), magnitude_of(ZERO), ZERO, 4, hook=keep, return_info=True)
    assert len(states) == 4
    for state, copies in states:
        for field, copied in zip(state, copies, strict=True):
            assert torch.equal(field, copied)


@pytest.mark.parametrize("rho", [-0.1, float("nan"), float("inf"), "0.1", None, False])
def test_invalid_rho(rho):
    with pytest.raises(InputError, match="rho"):
        ADMM(rho)
