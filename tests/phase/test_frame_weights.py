"""The projection with weights of frames, against dense weighted least squares."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.derivative import is_derivative
from tests.phase.papers import F64
from tests.phase.test_coarse_problem import problem_of
from tests.problems import TINY, TINY_LOG, TINY_POWER, tones
from torchmelinv.phase.frame_weights import QUIETEST, frame_weights
from torchmelinv.phase.problem import PhaseProblem

SHORT = TINY.replace(n_fft=32, hop_length=8, n_mels=6)


def weighted(problem: PhaseProblem) -> PhaseProblem:
    return dataclasses.replace(problem, weights=frame_weights(problem.target, problem.plan))


def test_the_synthesis_is_weighted_least_squares():
    """Of the frames before the window is applied, as Griffin and Lim's is without weights."""
    problem = weighted(problem_of(TINY.replace(padding="center_zero")))
    plan, y = problem.plan, tones(1600, (1,), F64).flip(-1)
    spectrum = plan.forward(y)
    change = torch.fft.irfft(problem.impose(spectrum.clone()) - spectrum, n=TINY.n_fft)[0]
    frames = plan.pad(torch.arange(1, 1601, dtype=F64)[None])[0].unfold(0, TINY.n_fft, 32)
    W, w = problem.weights.values[0, :, 0], plan.window
    numerator, denominator = torch.zeros(1601, dtype=F64), torch.zeros(1601, dtype=F64)
    for t, positions in enumerate(frames.long()):
        numerator.index_add_(0, positions, W[t] * w * change[t])
        denominator.index_add_(0, positions, W[t] * w.square())
    expected = y[0] + (numerator / denominator)[1:]
    result = problem.consistent_projection(y)[0]
    torch.testing.assert_close(result[64:-64], expected[64:-64])


@pytest.mark.parametrize("convention", [TINY, TINY_POWER, TINY_LOG])
def test_a_signal_with_its_mel_stays_as_it_is(convention):
    problem = weighted(problem_of(convention))
    signal = tones(1600, (1,), F64)
    spectrum = problem.plan.forward(signal)
    mel = problem.target.tables.M.of_rows(problem.target.filterbank_input(spectrum))
    exact = dataclasses.replace(problem, target=problem.target.with_values(mel))
    torch.testing.assert_close(exact.consistent_projection(signal), signal)


def test_quiet_frames_weigh_more():
    weights = weighted(problem_of(TINY)).weights.values
    assert weights.min() == 1 / (1 + QUIETEST)
    assert weights.max() <= 1 / QUIETEST


@pytest.mark.parametrize("convention", [SHORT, SHORT.replace(power=2)])
def test_the_gradient_is_the_derivative_with_respect_to_signal_and_mel(convention):
    problem = problem_of(convention)
    signal = tones(1600, (1,), F64).flip(-1)

    def of_mel(values: torch.Tensor) -> torch.Tensor:
        replaced = dataclasses.replace(problem, target=problem.target.with_values(values))
        return weighted(replaced).consistent_projection(signal)

    assert is_derivative(weighted(problem).consistent_projection, signal)
    assert is_derivative(of_mel, problem.target.values + 0.01)
