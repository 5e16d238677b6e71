"""Residuals over the iterations of an inversion."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv.errors import InputError
from torchmelinv.plot.output import axes_of
from torchmelinv.solvers.iterate import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["convergence"]

# Okabe and Ito, "Color universal design", 2008
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DOT: dict[str, Any] = {
    "marker": "o",
    "linestyle": "none",
    "markersize": 6,
    "markeredgecolor": "white",
}


def _decibels(residual: Tensor) -> NDArray[np.float64]:
    """Return residuals in dB; a residual of 0 becomes NaN, which is not drawn."""
    return torch.where(residual > 0, 20 * residual.log10(), torch.nan).numpy()


def _draw(axis: Any, name: str, solution: Solution, color: str) -> None:
    """Draw the median of a solution's items, and each item until it stopped."""
    history = solution.history.detach().double().cpu()
    history = history.reshape(len(history), -1)
    iterations = range(1, len(history) + 1)
    median = _decibels(history.quantile(0.5, 1))
    axis.plot(iterations, median, color=color, linewidth=2.2, label=name)
    stops = zip(history.T, solution.n_iter.flatten(), solution.converged.flatten(), strict=True)
    for residual, n_iter, converged in stops:
        curve = _decibels(residual[: int(n_iter)])
        axis.plot(iterations[: len(curve)], curve, color=color, linewidth=0.8, alpha=0.5)
        if converged:
            axis.plot(len(curve), curve[-1], color=color, zorder=3, **_DOT)


@named_options
def convergence(
    solutions: Mapping[str, Solution], *, ax: Axes | None = None, title: str = ""
) -> Figure:
    """Draw the residual in dB after each iteration, with one color for each solution.

    A batch has a thin line for each item, until the item stopped, and a thick line for their
    median. A dot marks an item that a tolerance stopped. Mel-consistent methods measure another
    residual than methods with a magnitude target: compare their curves only with each other.

    Args:
        solutions: Solutions of `MelInverter.solve`, by their names in the legend.
        ax: Axes of matplotlib to draw into. Default: those of a new figure.
        title: Title of the figure, or of `ax`.

    Returns:
        Figure of the axes.

    Raises:
        InputError: If there is no solution, or one without iterations.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(5000))
        >>> solution = tmi.MelInverter("hifigan_22k", n_iter=4).solve(mel)
        >>> figure = tmi.plot.convergence({"default": solution})
        >>> figure.axes[0].get_ylabel()
        'residual (dB)'
    """
    if not solutions or any(solution.history.numel() == 0 for solution in solutions.values()):
        raise InputError(
            "there is no history to draw; give solutions of at least one iteration, "
            "as `MelInverter.solve` returns them"
        )
    axis: Any = axes_of(ax, 8.5, 4, title)
    for (name, solution), color in zip(solutions.items(), itertools.cycle(_COLORS), strict=False):
        _draw(axis, name, solution, color)
    if any(solution.history.ndim > 1 for solution in solutions.values()):
        axis.plot([], [], color="0.4", linewidth=0.8, label="item")
    if any(solution.converged.any() for solution in solutions.values()):
        axis.plot([], [], color="0.4", label="stopped by the tolerance", **_DOT)
    axis.set(xlabel="iteration", ylabel="residual (dB)")
    axis.margins(x=0.02)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    figure: Any = axis.get_figure()
    return figure
