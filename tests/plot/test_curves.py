"""Convergence: lines for items and medians, dots where a tolerance stopped, silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tests.tiny import TINY, tiny_mel
from torchmelinv import plot
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.solvers.iterate import Solution


def solution(
    history: torch.Tensor, n_iter: list[int] | int, converged: list[bool] | bool
) -> Solution:
    """Return a solution as `MelInverter.solve` does; its waveform does not matter."""
    return Solution(
        torch.zeros(8), torch.tensor(n_iter), history[-1], torch.tensor(converged), history
    )


def test_a_line_for_each_item_until_it_stopped_and_their_median():
    history = 10.0 ** (-torch.tensor([[1.0, 2, 3], [2, 2, 4], [2, 3, 5], [2, 4, 6]]) / 20)
    solutions = {
        "batch": solution(history, [2, 4, 4], [True, False, True]),
        "single": solution(history[:, 2], 4, False),
    }
    axis = plot.convergence(solutions, title="a title").axes[0]
    drawn = [line for line in axis.lines if len(line.get_xdata())]
    median, *items, single, _ = (line for line in drawn if line.get_marker() == "None")
    assert median.get_label() == "batch"
    assert np.allclose(median.get_ydata(), [-2, -2, -3, -4], atol=1e-3)
    assert [list(line.get_xdata()) for line in items] == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4]]
    assert np.allclose(items[2].get_ydata(), [-3, -4, -5, -6], atol=1e-3)
    assert single.get_color() != median.get_color() == items[0].get_color()
    dots = [line for line in drawn if line.get_marker() == "o"]
    positions = [(dot.get_xdata()[0], round(float(dot.get_ydata()[0]), 3)) for dot in dots]
    assert positions == [(2, -2), (4, -6)]
    legend = [text.get_text() for text in axis.get_legend().get_texts()]
    assert legend == ["batch", "single", "item", "stopped by the tolerance"]
    assert "dB" in axis.get_ylabel()


def test_solutions_of_an_inverter_and_silence_are_drawn():
    silent_mel = torch.full_like(tiny_mel(), float(np.log(1e-5)))
    mels = torch.stack([tiny_mel(), tiny_mel(seed=1), silent_mel])
    solutions = {
        phase: MelInverter(TINY, phase=phase, n_iter=5, tolerance=0.1).solve(mels)
        for phase in ("mel_consistent", "raar")
    }
    plot.convergence(solutions).canvas.draw()
    silence = solution(torch.zeros(3), 1, True)
    plot.convergence({"silence": silence}).canvas.draw()  # no decibels, no warning


@pytest.mark.parametrize("solutions", [{}, {"none": solution(torch.zeros(1, 0), [], [])}])
def test_no_history_is_refused(solutions):
    with pytest.raises(InputError, match="no history"):
        plot.convergence(solutions)


def test_curves_in_given_axes():
    own = Figure()
    left, right = own.subplots(1, 2)
    solved = MelInverter(TINY, n_iter=3).solve(tiny_mel())
    assert plot.convergence({"default": solved}, ax=right, title="right") is own
    assert (len(left.lines), right.get_title()) == (0, "right")
    assert right.lines
