"""Make figures without a window, and write them to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchmelinv._utils.optional import require
from torchmelinv.errors import InputError
from torchmelinv.io.paths import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_figure", "save"]

SUFFIXES = (".png", ".pdf", ".svg")


def _matplotlib_figure() -> Any:
    """Return the module matplotlib.figure."""
    require("matplotlib", "plot")
    return require("matplotlib.figure", "plot")


def new_figure(width: float, height: float, title: str) -> Figure:
    """Return an empty figure with a size in inches and a title."""
    figure = _matplotlib_figure().Figure(figsize=(width, height), dpi=130, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=13, parse_math=False)
    return figure


def axes_of(ax: Axes | None, width: float, height: float, title: str) -> Axes:
    """Return the axes to draw into: those of the caller with the title, or new ones."""
    if ax is None:
        return new_figure(width, height, title).subplots()
    _matplotlib_figure()
    ax.set_title(title, parse_math=False)
    return ax


def check_figure(path: str | Path) -> None:
    """Check, before any work, that a figure can be saved to a path.

    Args:
        path: Path that ends in .png, .pdf or .svg.

    Raises:
        InputError: If the path has another suffix.
        DependencyError: If matplotlib is missing; the extra `plot` provides it.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.plot.check_figure("mel.png")
    """
    suffix = Path(path).suffix
    if suffix.lower() not in SUFFIXES:
        problem = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise InputError(f"the figure {str(path)!r} {problem}; {', '.join(SUFFIXES)} can be drawn")
    _matplotlib_figure()


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as png, pdf or svg. A failure leaves no partial file at the path.

    Args:
        figure: Figure of this module, or another matplotlib figure.
        path: Path that ends in .png, .pdf or .svg.

    Raises:
        InputError: If the path has another suffix.
        FileError: If the file cannot be written.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = torch.rand(80, 40)
        >>> figure = tmi.plot.compare_mels(mel, mel, "hifigan_22k")
        >>> tmi.plot.save(figure, "mel.png")  # doctest: +SKIP
    """
    check_figure(path)
    with atomic_write(path) as temporary:
        figure.savefig(temporary)
