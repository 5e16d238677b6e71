"""Schedules of phase methods: fractions, counts, nesting and hand-over."""

from __future__ import annotations

import pytest
import torch

from tests.phase.papers import LOCK_STEP, ZERO, magnitude_of
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phases import ADMM, LWS, RAAR, AcceleratedGriffinLim, GriffinLim, PhaseMethod, Then

MAGNITUDE = magnitude_of(ZERO, (2,))
A, B, C = GriffinLim(0.9), ADMM(), RAAR(0.8, after=None)


def waveform_of(method: PhaseMethod, n_iter: int = 8) -> torch.Tensor:
    return solve(method, MAGNITUDE, ZERO, n_iter).waveform


@pytest.mark.parametrize(
    ("first", "second"), [(A, B), (B, A), (C, A), (LWS(rtisi_iter=1), AcceleratedGriffinLim())]
)
def test_a_schedule_with_all_iterations_in_one_part_is_that_method(first, second):
    for after in (0, 0.0):
        assert torch.equal(waveform_of(Then(first, second, after)), waveform_of(second))
    for after in (8, 9, 1000):
        assert torch.equal(waveform_of(Then(first, second, after)), waveform_of(first))


@pytest.mark.parametrize(("after", "first"), [(0.5, 4), (0.25, 2), (0.99, 8), (0.01, 0), (3, 3)])
def test_after_is_a_count_or_a_fraction_of_the_iterations(after, first):
    assert Then(A, B, after).stages(8) == [(A, first), (B, 8 - first)]


@pytest.mark.parametrize("n_iter", range(12))
@pytest.mark.parametrize(
    "method", [Then(Then(A, B, 2), C, 5), Then(A, Then(B, C, 3), 2), Then(Then(A, B, 0.5), C, 0.5)]
)
def test_nested_schedules_distribute_all_iterations(method, n_iter):
    stages = method.stages(n_iter)
    assert [stage for stage, _ in stages] == [A, B, C]
    assert sum(count for _, count in stages) == n_iter
    assert all(count >= 0 for _, count in stages)


def test_schedules_nest_associatively():
    left, right = Then(Then(A, B, 2), C, 5), Then(A, Then(B, C, 3), 2)
    assert left.stages(8) == right.stages(8) == [(A, 2), (B, 3), (C, 3)]
    assert torch.equal(waveform_of(left), waveform_of(right))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (A, B),
        (B, C),
        (C, A),
        (LWS(rtisi_iter=1), A),
        (A, LWS()),
        (A, AcceleratedGriffinLim()),
    ],
)
def test_the_second_method_starts_from_the_waveform_of_the_first(first, second):
    init_waveform = waveform_of(first, 3)
    expected = solve(second, MAGNITUDE, ZERO, 5, init_waveform=init_waveform).waveform
    torch.testing.assert_close(waveform_of(Then(first, second, 3)), expected, **LOCK_STEP)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((A, "admm", 3), "second is 'admm'; it must be a phase method"),
        ((GriffinLim, B, 3), "first is"),
        (
            (A, B, -1),
            r"after is -1; .*\(an integer number of iterations, or a fraction of them below",
        ),
        ((A, B, 2.5), r"after is 2\.5"),
        ((A, B, None), "after is None"),
        ((A, B, True), "after is True"),
    ],
)
def test_invalid_schedules(arguments, message):
    with pytest.raises(InputError, match=message):
        Then(*arguments)


def test_a_method_must_define_init_and_step():
    for name in ("init", "step"):
        with pytest.raises(NotImplementedError, match=f"PhaseMethod does not define {name}"):
            getattr(PhaseMethod(), name)(None, None)


def test_a_state_must_be_a_tuple_of_tensors():
    class ListMethod(GriffinLim):
        def init(self, problem, spectrum):
            return [problem.plan.inverse(spectrum)]

    message = "ListMethod.init returned a list; it must return a NamedTuple of tensors"
    with pytest.raises(InputError, match=message):
        waveform_of(ListMethod())


def test_a_state_may_be_a_plain_tuple():
    class TupleMethod(PhaseMethod):
        def init(self, problem, spectrum):
            return (problem.plan.inverse(spectrum),)

        def step(self, problem, state):
            return (problem.consistent_projection(state[0]),)

    expected = waveform_of(GriffinLim())
    torch.testing.assert_close(waveform_of(TupleMethod()), expected, **LOCK_STEP)
    for gradient in ("checkpointed", 2):
        magnitude = MAGNITUDE.clone().requires_grad_()
        waveform = solve(TupleMethod(), magnitude, ZERO, 8, gradient=gradient).waveform
        torch.testing.assert_close(waveform, expected, **LOCK_STEP)
