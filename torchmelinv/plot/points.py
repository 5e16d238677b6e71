"""The values of metrics over many pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torchmelinv._utils.options import named_options
from torchmelinv.errors import InputError
from torchmelinv.metrics.scores import bootstrap_mean
from torchmelinv.plot.output import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["distributions"]

_POINT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 4.5,
    "markeredgewidth": 0,
}


def _draw(axis: Any, values: NDArray[np.float64]) -> None:
    """Draw quartiles, points and the mean with its interval, for at least one value."""
    low, median, high = np.percentile(values, (25, 50, 75))
    quartiles = [(low, high - low)]
    axis.broken_barh(quartiles, (0.3, 0.6), facecolor="0.9", label="interquartile range")
    axis.vlines(median, 0.3, 0.9, color="0.5", label="median")
    # The height means nothing; it only separates the points.
    height = 0.34 + 0.52 * np.random.default_rng(0).random(len(values))
    opacity = min(0.7, max(0.05, 40 / len(values)))
    axis.plot(values, height, color="tab:purple", alpha=opacity, label="pair", **_POINT)
    mean = bootstrap_mean(values)
    interval = None
    if not math.isnan(mean.low):
        interval = [[mean.mean - mean.low], [mean.high - mean.mean]]
    axis.errorbar(
        mean.mean,
        0.14,
        xerr=interval,
        fmt="D",
        color="tab:orange",
        markersize=5,
        capsize=3,
        label="mean, 95 % interval",
    )


def _panel_title(label: str, count: int) -> str:
    """Return a panel's title with the number of its values."""
    if count == 0:
        return f"{label}: not defined"
    return f"{label} ({count} pair{'s' if count > 1 else ''})"


@named_options
def distributions(values: Mapping[str, Sequence[float]], *, title: str = "") -> Figure:
    """Draw the values of metrics: one panel for each metric, one point for each pair.

    Each panel also has the quartiles and the mean with its interval (`bootstrap_mean`). Values that
    are not finite are left out. The height of a point means nothing.

    Args:
        values: Values of each metric, by its label.
        title: Title of the figure.

    Returns:
        Figure with one panel for each metric.

    Raises:
        InputError: If there are no metrics.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Example:
        >>> import torchmelinv as tmi
        >>> figure = tmi.plot.distributions({"PESQ-WB": [3.9, 4.1, 4.0]})
        >>> figure.axes[0].get_title(loc="left")
        'PESQ-WB (3 pairs)'
    """
    if not values:
        raise InputError("there are no values to draw")
    columns = min(2, len(values))
    rows = math.ceil(len(values) / columns)
    figure = new_figure(4.8 * columns, 1.1 + 1.3 * rows, title)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in panels[len(values) :]:
        axis.set_visible(False)
    for axis, (label, entries) in zip(panels, values.items(), strict=False):
        finite = np.array([value for value in entries if math.isfinite(value)])
        axis.set_title(_panel_title(label, len(finite)), fontsize=11, loc="left")
        axis.set(ylim=(0, 1), yticks=[])
        axis.locator_params(axis="x", nbins=6)
        axis.spines[["left", "right", "top"]].set_visible(False)
        if len(finite):
            _draw(axis, finite)
        else:
            axis.set_xticks([])
    drawn = next((axis for axis in panels if axis.has_data()), None)
    if drawn is not None:
        handles, labels = drawn.get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=2 * columns,
            frameon=False,
            fontsize=10,
        )
    return figure
