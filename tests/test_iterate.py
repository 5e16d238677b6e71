"""The loop: counts, freezing by mask, history, best iterate, hooks, gradient modes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.iterate import check_gradient, iterate


class Halving(NamedTuple):
    value: Tensor


RATES = torch.tensor([[0.5], [0.1], [0.9]], dtype=torch.float64)


def step(state: Halving) -> Halving:
    return Halving(state.value * RATES)


def change(before: Halving, after: Halving) -> Tensor:
    return (before.value - after.value).abs().amax(-1, keepdim=True)


START = Halving(torch.ones(3, 2, dtype=torch.float64))


def test_without_a_tolerance_every_step_is_done():
    result = iterate(step, START, 7)
    torch.testing.assert_close(result.state.value, START.value * RATES**7)
    assert result.steps is None
    assert iterate(step, START, 0).state is START


def test_items_freeze_one_by_one_and_the_loop_ends_with_the_last():
    seen = []
    result = iterate(step, START, 100, change=change, tolerance=1e-2, hook=lambda i, _: seen.append(i))
    expected = [next(n for n in range(1, 100) if rate ** (n - 1) - rate**n <= 1e-2) for rate in RATES.flatten().tolist()]
    assert result.steps.flatten().tolist() == expected
    torch.testing.assert_close(result.state.value, START.value * RATES ** torch.tensor(expected)[:, None])
    assert result.converged.all()
    assert seen == list(range(max(expected)))


def test_an_item_that_does_not_settle_says_so():
    result = iterate(step, START, 5, change=change, tolerance=1e-2)
    assert result.converged.flatten().tolist() == [False, True, False]
    assert result.steps.flatten().tolist() == [5, 3, 5]


def test_history_and_the_best_iterate_of_each_item():
    values = iter([torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [3.0]])])
    start = Halving(torch.tensor([[4.0], [4.0]]))
    result = iterate(lambda _: Halving(next(values)), start, 3, measure=lambda state: state.value, keep_best=True)
    assert result.state.value.flatten().tolist() == [1.0, 1.0]
    assert torch.cat(result.history, 1).tolist() == [[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]


MODES = {"unrolled": 6, "checkpointed": 6, 2: 2, 6: 6, 9: 6, "none": 0, "phase_detached": 0}


@pytest.mark.parametrize(("gradient", "through"), MODES.items())
def test_gradient_modes(gradient, through):
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    start = Halving(torch.ones(1, dtype=torch.float64, requires_grad=True))
    value = iterate(lambda state: Halving(state.value * rate), start, 6, gradient=gradient).state.value
    torch.testing.assert_close(value.detach(), torch.tensor([0.7**6], dtype=torch.float64))
    if through == 0:
        assert not value.requires_grad or torch.autograd.grad(value.sum(), rate, allow_unused=True)[0] is None
    else:
        torch.testing.assert_close(torch.autograd.grad(value.sum(), rate)[0].item(), through * 0.7**5)


class Pair(NamedTuple):
    """What a step gave, and what it was given: handed on as it is."""

    value: Tensor
    previous: Tensor


@pytest.mark.parametrize("options", [{}, {"measure": lambda state: -state.value, "keep_best": True}])
@pytest.mark.parametrize("gradient", [1, 2, "none", "phase_detached"])
def test_nothing_that_steps_hand_on_passes_a_gradient_from_before_the_last_ones(gradient, options):
    start = torch.ones(1, 1, dtype=torch.float64, requires_grad=True)
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    step = lambda state: Pair(rate * (state.value + state.previous), state.value)  # noqa: E731
    result = iterate(step, Pair(start, start), 3, gradient=gradient, **options).state
    for part in result:
        assert not part.requires_grad or torch.autograd.grad(part, start, allow_unused=True, retain_graph=True)[0] is None


def test_the_last_k_of_an_item_that_stopped_before_them_are_none():
    rate = RATES.clone().requires_grad_()
    step = lambda state: Halving(state.value * rate)  # noqa: E731
    for gradient, through in (("unrolled", [True, True, True]), (3, [False, False, True])):
        value = iterate(step, START, 12, change=change, tolerance=0.04, gradient=gradient).state.value
        assert torch.autograd.grad(value.sum(), rate)[0].flatten().ne(0).tolist() == through


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"change": change, "tolerance": 1e-2},
        {"measure": lambda state: (state.value - 0.3).abs().amax(-1, keepdim=True), "keep_best": True},
    ],
)
def test_checkpointed_is_unrolled_bit_for_bit_whatever_is_asked_for_beside(options):
    rate = RATES.clone().requires_grad_()
    step = lambda state: Halving(state.value * rate)  # noqa: E731
    for hook in (None, lambda iteration, state: None):
        modes = ("unrolled", "checkpointed")
        values = [iterate(step, START, 12, hook=hook, gradient=mode, **options).state.value for mode in modes]
        assert torch.equal(values[0], values[1])
        one, other = (torch.autograd.grad(value.sum(), rate)[0] for value in values)
        torch.testing.assert_close(one, other)


def test_a_whole_number_of_another_library_is_one():
    assert check_gradient(np.int64(2)) == 2
    assert type(check_gradient(np.int64(2))) is int


@pytest.mark.parametrize("wrong", ["implicit", 0, -1, True, 1.5, None])
def test_unknown_modes_are_refused(wrong):
    with pytest.raises(InputError, match="phase_detached"):
        check_gradient(wrong)
