"""Players that the notebooks share; the folder of a notebook is where it imports from."""

from __future__ import annotations

import base64
import io

import soundfile
from IPython.display import HTML
from torch import Tensor


def listen(sample_rate: float, **sounds: Tensor) -> HTML:
    """A player for each waveform (n_samples,), by its name; MP3, so that a notebook stays small. Louder than 1 is scaled down."""
    rows = ""
    for name, waveform in sounds.items():
        file = io.BytesIO()
        samples = waveform.detach().cpu() / waveform.detach().cpu().abs().max().clamp(min=1)
        soundfile.write(file, samples.numpy(), int(sample_rate), format="MP3")
        source = f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
        rows += f'<tr><td>{name.replace("_", " ")}</td><td><audio controls src="{source}"></audio></td></tr>'
    return HTML(f"<table>{rows}</table>")
