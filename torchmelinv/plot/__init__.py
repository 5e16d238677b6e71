"""Figures of spectra, convergence and metrics, by matplotlib (the extra `plot`), and players.

Each function but `listen` returns a matplotlib ``Figure`` of its own, which a notebook shows and
`save` writes. No window opens and matplotlib's global state is left alone.
"""

from torchmelinv.plot.curves import convergence
from torchmelinv.plot.output import check_figure, save
from torchmelinv.plot.panels import compare_mels, compare_spectrograms, show_mel
from torchmelinv.plot.players import listen
from torchmelinv.plot.points import distributions

__all__ = [
    "check_figure",
    "compare_mels",
    "compare_spectrograms",
    "convergence",
    "distributions",
    "listen",
    "save",
    "show_mel",
]
