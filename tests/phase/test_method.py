"""What all methods share: the magnitude as a target, schedules that are the methods they say, numbers that are refused."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import F64, LOCK_STEP, N_FRAMES, N_SAMPLES, ZERO, magnitude_of
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import Admm
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.lws import Lws
from torchmelinv.phase.method import MagnitudeTarget, PhaseMethod, PhaseProblem, Then, check_number, relative_norm
from torchmelinv.phase.raar import Raar
from torchmelinv.phase.retrieve import retrieve

MAGNITUDE = magnitude_of(ZERO, (2,))
A, B, C = GriffinLim(0.9), Admm(), Raar(0.8)


def waveform(method: PhaseMethod, n_iter: int = 8) -> torch.Tensor:
    return retrieve(method, MAGNITUDE, ZERO, n_iter).waveform


def test_the_magnitude_is_a_target():
    target = MagnitudeTarget(MAGNITUDE.mT)
    spectrum = torch.randn_like(MAGNITUDE.mT, dtype=torch.complex128)
    expected = (spectrum.abs() - MAGNITUDE.mT).flatten(1).norm(dim=1) / MAGNITUDE.flatten(1).norm(dim=1)
    torch.testing.assert_close(target.distance(spectrum)[:, 0], expected)
    plan = Frame(ZERO).plan(N_FRAMES, N_SAMPLES, MAGNITUDE)
    imposed = PhaseProblem(target, plan).impose(spectrum.clone())
    torch.testing.assert_close(imposed, torch.polar(MAGNITUDE.mT, spectrum.angle()))
    torch.testing.assert_close(target.distance(imposed), torch.zeros(2, 1, dtype=F64), atol=1e-12, rtol=0)


def test_a_silent_item_is_at_no_distance():
    error, size = torch.ones(2, 3, 4), torch.stack([torch.zeros(3, 4), torch.full((3, 4), 2.0)])
    assert relative_norm(error, size).tolist() == [[0], [0.5]]


@pytest.mark.parametrize(("first", "second"), [(A, B), (B, A), (C, A), (Lws(), AcceleratedGriffinLim())])
def test_a_schedule_at_its_ends_is_one_of_its_methods(first, second):
    assert torch.equal(waveform(Then(first, second, 0)), waveform(second))
    assert torch.equal(waveform(Then(first, second, 0.0)), waveform(second))
    for after in (8, 9, 1000):
        assert torch.equal(waveform(Then(first, second, after)), waveform(first))


@pytest.mark.parametrize(("after", "before"), [(0.5, 4), (0.25, 2), (0.99, 8), (0.01, 0), (3, 3)])
def test_after_is_a_number_of_iterations_or_a_share_of_them(after, before):
    assert Then(A, B, after).stages(8) == [(A, before), (B, 8 - before)]


@pytest.mark.parametrize("n_iter", range(12))
@pytest.mark.parametrize("method", [Then(Then(A, B, 2), C, 5), Then(A, Then(B, C, 3), 2), Then(Then(A, B, 0.5), C, 0.5)])
def test_nested_schedules_share_out_all_iterations(method, n_iter):
    stages = method.stages(n_iter)
    assert [stage for stage, _ in stages] == [A, B, C]
    assert sum(count for _, count in stages) == n_iter
    assert all(count >= 0 for _, count in stages)


def test_nesting_left_or_right_is_the_same():
    left, right = Then(Then(A, B, 2), C, 5), Then(A, Then(B, C, 3), 2)
    assert left.stages(8) == right.stages(8) == [(A, 2), (B, 3), (C, 3)]
    assert torch.equal(waveform(left), waveform(right))


@pytest.mark.parametrize(("first", "second"), [(A, B), (B, C), (C, A), (Lws(), A), (A, Lws()), (A, AcceleratedGriffinLim())])
def test_the_second_goes_on_from_the_waveform_of_the_first(first, second):
    lent = retrieve(first, MAGNITUDE, ZERO, 3).waveform
    expected = retrieve(second, MAGNITUDE, ZERO, 5, start_waveform=lent).waveform
    torch.testing.assert_close(waveform(Then(first, second, 3)), expected, **LOCK_STEP)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((A, "admm", 3), "second is 'admm'; it must be a phase method"),
        ((GriffinLim, B, 3), "first is"),
        ((A, B, -1), r"after is -1; .*\(a whole number of iterations, or a share of them below 1"),
        ((A, B, 2.5), r"after is 2\.5"),
        ((A, B, None), "after is None"),
        ((A, B, True), "after is True"),
    ],
)
def test_schedules_that_are_none(wrong, message):
    with pytest.raises(InputError, match=message):
        Then(*wrong)


def test_numbers():
    for value in (0, 0.5, 2):
        check_number("x", value, 0, 2)
    for value in (-0.1, 2.1, float("nan"), float("inf"), "1", None, True):
        with pytest.raises(InputError, match=r"x is .*; it must be a number from 0 to 2 \(so\)"):
            check_number("x", value, 0, 2, "so")
    with pytest.raises(InputError, match=r"it must be a number of at least 0$"):
        check_number("x", float("inf"), 0)


def test_a_method_is_asked_for_its_step():
    for call in (PhaseMethod().init, PhaseMethod().step):
        with pytest.raises(NotImplementedError):
            call(None, None)
