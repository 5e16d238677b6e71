"""Audio players for the notebooks, which import from their own folder."""

from __future__ import annotations

import base64
import io

import soundfile
from IPython.display import HTML
from torch import Tensor


def listen(sample_rate: float, **sounds: Tensor) -> HTML:
    """Return a player for each named waveform (n_samples,), as MP3 to keep the notebook small.

    Waveforms with a peak above 1 are scaled down.
    """
    rows = ""
    for name, waveform in sounds.items():
        samples = waveform.detach().cpu()
        samples = samples / samples.abs().max().clamp(min=1)
        stream = io.BytesIO()
        soundfile.write(stream, samples.numpy(), int(sample_rate), format="MP3")
        data = base64.b64encode(stream.getvalue()).decode()
        player = f'<audio controls src="data:audio/mpeg;base64,{data}"></audio>'
        rows += f"<tr><td>{name.replace('_', ' ')}</td><td>{player}</td></tr>"
    return HTML(f"<table>{rows}</table>")
