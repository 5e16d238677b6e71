"""Active sets: frames that have converged keep their values, the others continue."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.solvers.active_set import scatter_frames, select_frames, solve_active


class Problem(NamedTuple):
    target: Tensor  # (1, 1, frames)
    name: str


class State(NamedTuple):
    count: Tensor  # (1, 2, frames)


def count_up(problem: Problem, state: State, n_iter: int) -> tuple[State, Tensor, Tensor]:
    """Add 1 per iteration until the target is reached."""
    missing = (problem.target - state.count[:, :1]).clamp(min=0)
    steps = missing.clamp(max=n_iter)
    return State(state.count + steps), steps.long(), missing <= n_iter


def test_each_frame_is_solved_and_keeps_its_place():
    problem = Problem(torch.tensor([[[3.0, 0.0, 9.0, 5.0, 100.0]]]), "counting")
    state, n_iter, converged = solve_active(
        count_up, problem, State(torch.zeros(1, 2, 5)), [4, 4, 4]
    )
    assert state.count.tolist() == [[[3.0, 0.0, 9.0, 5.0, 12.0]] * 2]
    assert n_iter.tolist() == [[[3, 0, 9, 5, 12]]]
    assert converged.tolist() == [[[True, True, True, True, False]]]


def test_converged_frames_are_not_solved_again():
    sizes = []

    def recording(problem: Problem, state: State, n_iter: int):
        sizes.append(state.count.shape[-1])
        return count_up(problem, state, n_iter)

    problem = Problem(torch.tensor([[[3.0, 0.0, 9.0, 5.0]]]), "counting")
    solve_active(recording, problem, State(torch.zeros(1, 2, 4)), [4] * 10)
    assert sizes == [4, 2, 1]


def test_without_rounds_the_initial_state_is_returned():
    state, n_iter, converged = solve_active(count_up, None, State(torch.ones(1, 2, 3)), [])
    assert torch.equal(state.count, torch.ones(1, 2, 3))
    assert not n_iter.any()
    assert not converged.any()


def test_select_and_scatter():
    problem, frames = Problem(torch.arange(4.0)[None, None], "x"), torch.tensor([3, 1])
    selected = select_frames(problem, frames)
    assert selected.target.flatten().tolist() == [3.0, 1.0]
    assert selected.name == "x"
    new = State(torch.tensor([[[7.0, 8.0]]], dtype=torch.float64))
    scattered = scatter_frames(State(torch.zeros(1, 1, 4)), frames, new)
    assert scattered.count.dtype == torch.float32
    assert scattered.count.flatten().tolist() == [0.0, 8.0, 0.0, 7.0]
