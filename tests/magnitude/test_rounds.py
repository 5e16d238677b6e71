"""Rounds: frames that have stopped are put aside with their values, the others go on where they were."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.magnitude.rounds import at_frames, in_rounds, put_frames


class Problem(NamedTuple):
    target: Tensor  # (1, 1, frames)
    name: str


class State(NamedTuple):
    count: Tensor  # (1, 2, frames)


def count_up(problem: Problem, state: State, n_iter: int) -> tuple[State, Tensor, Tensor]:
    missing = (problem.target - state.count[:, :1]).clamp(min=0)
    steps = missing.clamp(max=n_iter)
    return State(state.count + steps), steps.long(), missing <= n_iter


def test_every_frame_is_done_once_and_keeps_its_place():
    problem = Problem(torch.tensor([[[3.0, 0.0, 9.0, 5.0, 100.0]]]), "counting")
    state, steps, converged = in_rounds(count_up, problem, State(torch.zeros(1, 2, 5)), [4, 4, 4])
    assert state.count.tolist() == [[[3.0, 0.0, 9.0, 5.0, 12.0]] * 2]
    assert steps.tolist() == [[[3, 0, 9, 5, 12]]]
    assert converged.tolist() == [[[True, True, True, True, False]]]


def test_no_rounds_are_the_start():
    state, steps, converged = in_rounds(count_up, None, State(torch.ones(1, 2, 3)), [])
    assert torch.equal(state.count, torch.ones(1, 2, 3))
    assert not steps.any()
    assert not converged.any()


def test_parts():
    problem, frames = Problem(torch.arange(4.0)[None, None], "x"), torch.tensor([3, 1])
    assert at_frames(problem, frames).target.flatten().tolist() == [3.0, 1.0]
    put = put_frames(State(torch.zeros(1, 1, 4)), frames, State(torch.tensor([[[7.0, 8.0]]], dtype=torch.float64)))
    assert put.count.flatten().tolist() == [0.0, 8.0, 0.0, 7.0]
