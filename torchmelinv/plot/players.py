"""Players of waveforms for notebooks."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv._utils.validation import check_real
from torchmelinv.errors import InputError

if TYPE_CHECKING:
    from IPython.display import HTML

__all__ = ["listen"]


def _mp3(waveform: Tensor, sample_rate: float) -> str:
    """Return a waveform (n_samples,) as MP3 in base64, scaled down if it peaks above 1."""
    samples = waveform.detach().float().cpu()
    samples = samples / samples.abs().max().clamp(min=1)
    stream = io.BytesIO()
    require("soundfile").write(stream, samples.numpy(), round(sample_rate), format="MP3")
    return base64.b64encode(stream.getvalue()).decode()


def listen(sample_rate: float, **waveforms: Tensor) -> HTML:
    """Show a player for each waveform in a notebook.

    The sounds are stored in the notebook as MP3, to keep it small. A waveform that peaks above 1 is
    scaled down.

    Args:
        sample_rate: Sample rate in Hz, one that MP3 has: 8, 11.025, 12, 16, 22.05, 24, 32, 44.1 or
            48 kHz.
        **waveforms: Waveforms (n_samples,) by name.

    Returns:
        Object that a notebook shows.

    Raises:
        InputError: If a waveform is not real, has no or several dimensions, or is empty.
        DependencyError: If IPython is missing.

    Shape:
        - waveforms: (n_samples,)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> players = tmi.plot.listen(22050, noise=0.1 * torch.randn(2205))
        >>> "audio/mpeg" in players.data
        True
    """
    display: Any = require("IPython.display")
    rows = ""
    for name, waveform in waveforms.items():
        check_real(waveform, f"the waveform {name!r}")
        if waveform.ndim != 1 or not len(waveform):
            raise InputError(
                f"the waveform {name!r} has the shape {tuple(waveform.shape)}; it must be "
                "(n_samples,), one channel of one item"
            )
        source = f"data:audio/mpeg;base64,{_mp3(waveform, sample_rate)}"
        title = html.escape(name.replace("_", " "))
        rows += f'<tr><td>{title}</td><td><audio controls src="{source}"></audio></td></tr>'
    return display.HTML(f"<table>{rows}</table>")
