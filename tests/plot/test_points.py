"""Distributions of metrics: points, means, titles and the legend."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv import plot
from torchmelinv.errors import InputError


def test_a_point_for_each_pair_and_their_mean():
    values = {
        "PESQ-WB": [3.9, 4.1, 4.0, 3.2],
        "mel error, dB": [-20.0, -30.0, np.nan],
        "single": [1.0],
        "none": [-np.inf],
    }
    figure = plot.distributions(values, title="a title")
    assert figure.get_suptitle() == "a title"
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == [
        "PESQ-WB (4 pairs)",
        "mel error, dB (2 pairs)",
        "single (1 pair)",
        "none: not defined",
    ]
    points = [
        next((line.get_xdata() for line in axis.lines if line.get_label() == "pair"), [])
        for axis in figure.axes
    ]
    assert [list(each) for each in points] == [[3.9, 4.1, 4.0, 3.2], [-20, -30], [1], []]
    means = [axis.containers[0] for axis in figure.axes if axis.containers]
    assert [mean.lines[0].get_xdata()[0] for mean in means] == pytest.approx([3.8, -25, 1])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["interquartile range", "median", "pair", "mean, 95 % interval"]


def test_no_values_are_refused():
    with pytest.raises(InputError, match="no values"):
        plot.distributions({})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_legend_stays_within_the_figure(count):
    figure = plot.distributions({name: [1.0, 2.0, 4.0] for name in "abc"[:count]})
    figure.canvas.draw()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1


def test_thousands_of_pairs_and_three_panels():
    figure = plot.distributions({name: torch.randn(5000).tolist() for name in "abc"})
    figure.canvas.draw()
    assert [axis.get_visible() for axis in figure.axes] == [True, True, True, False]
