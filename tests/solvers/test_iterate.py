"""The loop: iteration counts, frozen items, history, best iterate, hooks, gradient modes."""

from __future__ import annotations

import gc
import weakref
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.solvers.iterate import check_gradient, iterate


class Halving(NamedTuple):
    value: Tensor


RATES = torch.tensor([[0.5], [0.1], [0.9]], dtype=torch.float64)


def step(state: Halving) -> Halving:
    return Halving(state.value * RATES)


def change(before: Halving, after: Halving) -> Tensor:
    return (before.value - after.value).abs().amax(-1, keepdim=True)


START = Halving(torch.ones(3, 2, dtype=torch.float64))


def gradient_of(value: Tensor, leaf: Tensor) -> Tensor | None:
    """The gradient of a sum with respect to a leaf, or None where the leaf does not matter."""
    if not value.requires_grad:
        return None
    return torch.autograd.grad(value.sum(), leaf, allow_unused=True, retain_graph=True)[0]


def test_without_a_tolerance_all_iterations_run():
    result = iterate(step, START, 7)
    torch.testing.assert_close(result.state.value, START.value * RATES**7)
    assert result.n_iter is None
    assert iterate(step, START, 0).state is START


def test_items_freeze_one_by_one_and_the_loop_ends_with_the_last():
    iterations = []
    result = iterate(
        step,
        START,
        100,
        change=change,
        tolerance=1e-2,
        hook=lambda iteration, _: iterations.append(iteration),
    )
    expected = [
        next(n for n in range(1, 100) if rate ** (n - 1) - rate**n <= 1e-2)
        for rate in RATES.flatten().tolist()
    ]
    assert result.n_iter.flatten().tolist() == expected
    powers = RATES ** torch.tensor(expected)[:, None]
    torch.testing.assert_close(result.state.value, START.value * powers)
    assert result.converged.all()
    assert iterations == list(range(max(expected)))


def test_an_item_that_does_not_converge_is_marked():
    result = iterate(step, START, 5, change=change, tolerance=1e-2)
    assert result.converged.flatten().tolist() == [False, True, False]
    assert result.n_iter.flatten().tolist() == [5, 3, 5]


def test_history_and_the_best_iterate_of_each_item():
    values = iter(torch.tensor([[[3.0], [1.0]], [[1.0], [2.0]], [[2.0], [3.0]]]))
    start = Halving(torch.tensor([[4.0], [4.0]]))
    result = iterate(
        lambda _: Halving(next(values)), start, 3, measure=lambda state: state.value, keep_best=True
    )
    assert result.state.value.flatten().tolist() == [1.0, 1.0]
    assert torch.cat(result.history, 1).tolist() == [[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]


# Gradient mode: number of the last 6 steps that a gradient passes through
MODES = {"unrolled": 6, "checkpointed": 6, 2: 2, 6: 6, 9: 6, "none": 0, "phase_detached": 0}


@pytest.mark.parametrize(("gradient", "through"), MODES.items())
def test_gradient_modes(gradient, through):
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    start = Halving(torch.ones(1, dtype=torch.float64, requires_grad=True))
    step = lambda state: Halving(state.value * rate)  # noqa: E731
    value = iterate(step, start, 6, gradient=gradient).state.value
    torch.testing.assert_close(value.detach(), torch.tensor([0.7**6], dtype=torch.float64))
    if through == 0:
        assert gradient_of(value, rate) is None
    else:
        torch.testing.assert_close(gradient_of(value, rate).item(), through * 0.7**5)


class Pair(NamedTuple):
    """A state whose second field is the previous value, passed on unchanged."""

    value: Tensor
    previous: Tensor


@pytest.mark.parametrize(
    "options", [{}, {"measure": lambda state: -state.value, "keep_best": True}]
)
@pytest.mark.parametrize("gradient", [1, 2, "none", "phase_detached"])
def test_no_field_passes_a_gradient_from_before_the_last_k_steps(gradient, options):
    start = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    step = lambda state: Pair(rate * (state.value + state.previous), state.value)  # noqa: E731
    result = iterate(step, Pair(start, start), 3, gradient=gradient, **options).state
    for part in result:
        assert gradient_of(part, start) is None


def test_an_item_that_stopped_before_the_last_k_steps_passes_no_gradient():
    rate = RATES.clone().requires_grad_()
    step = lambda state: Halving(state.value * rate)  # noqa: E731
    for gradient, through in (("unrolled", [True, True, True]), (3, [False, False, True])):
        options = {"change": change, "tolerance": 0.04, "gradient": gradient}
        value = iterate(step, START, 12, **options).state.value
        assert torch.autograd.grad(value.sum(), rate)[0].flatten().ne(0).tolist() == through


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"change": change, "tolerance": 1e-2},
        {
            "measure": lambda state: (state.value - 0.3).abs().amax(-1, keepdim=True),
            "keep_best": True,
        },
    ],
)
def test_checkpointed_equals_unrolled_with_any_other_option(options):
    rate = RATES.clone().requires_grad_()
    step = lambda state: Halving(state.value * rate)  # noqa: E731
    for hook in (None, lambda iteration, state: None):
        unrolled, checkpointed = (
            iterate(step, START, 12, hook=hook, gradient=mode, **options).state.value
            for mode in ("unrolled", "checkpointed")
        )
        assert torch.equal(unrolled, checkpointed)
        torch.testing.assert_close(gradient_of(unrolled, rate), gradient_of(checkpointed, rate))


def test_integers_of_numpy_are_accepted():
    assert check_gradient(np.int64(2)) == 2
    assert type(check_gradient(np.int64(2))) is int


@pytest.mark.parametrize("invalid", ["implicit", 0, -1, True, 1.5, None])
def test_invalid_gradient_modes(invalid):
    with pytest.raises(InputError, match="phase_detached"):
        check_gradient(invalid)


@pytest.mark.parametrize("kind", [Halving, lambda value: (value,)], ids=["named", "plain"])
@pytest.mark.parametrize("gradient", ["unrolled", "checkpointed", "none", 2])
def test_states_are_named_or_plain_tuples(kind, gradient):
    leaf = torch.ones(3, 1, requires_grad=True)
    initial = kind(2 * leaf)
    result = iterate(lambda state: kind(state[0] / 2), initial, 6, gradient=gradient)
    assert type(result.state) is type(initial)
    assert torch.equal(result.state[0], torch.full((3, 1), 2.0**-5))
    # Through the last two steps alone no gradient reaches the leaf: they use it nowhere.
    assert result.state[0].requires_grad == (gradient in ("unrolled", "checkpointed"))


def test_checkpoints_keep_no_graph_alive():
    """Without a backward pass, the graph and all that it refers to go with the result."""
    leaf = torch.ones(3, 1, requires_grad=True)

    def sine(state: Halving) -> Halving:
        return Halving(state.value.sin())  # saves its input for backward

    reference = weakref.ref(sine)
    result = iterate(sine, Halving(leaf), 9, gradient="checkpointed")
    assert result.state.value.requires_grad
    del result, sine
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize("gradient", ["unrolled", "checkpointed"])
def test_a_step_can_know_its_number(gradient):
    numbers = []

    def step(state, number):
        numbers.append(number)
        return state

    start = (torch.zeros(1, 1, requires_grad=True),)
    iterate(step, start, 5, numbered=True, gradient=gradient)
    assert numbers == [0, 1, 2, 3, 4]
