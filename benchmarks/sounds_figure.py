"""The picture of the sounds: spectrograms of the original, of an earlier inversion, and of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from torchmelinv.io.audio import read_audio, write_audio

RANGE_DB = 60.0  # below the peak of all spectrograms of a sound
_CELLS = (48, 100)  # frequencies and times of a panel, so that a line is not between two pixels
_FRAME_SECONDS, _HOP_SECONDS = 0.032, 0.008
_INCHES = (2.6, 1.9)  # of a panel


class Panel(NamedTuple):
    """A sound and its inversion."""

    title: str
    sample_rate: float
    reference: Tensor
    result: Tensor


def save_results(panels: Mapping[str, Panel], folder: Path) -> None:
    """Write the inversions as wav files, which `draw` takes as the earlier ones later."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, panel in panels.items():
        write_audio(folder / f"{name}.wav", panel.result, panel.sample_rate, "FLOAT")


def _decibels(waveform: Tensor, sample_rate: float, cells: tuple[int, int]) -> Tensor:
    """Return the mean power of each cell of the spectrogram in dB, (n_freqs, n_frames)."""
    n_fft = 1 << round(_FRAME_SECONDS * sample_rate).bit_length()
    hop_length = round(_HOP_SECONDS * sample_rate)
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(waveform, n_fft, hop_length, window=window, return_complex=True)
    power = adaptive_avg_pool2d(spectrum.abs().square()[None], cells)[0]
    return 10 * power.clamp(min=1e-12).log10()


def draw(panels: Mapping[str, Panel], before: Path | None) -> Figure:
    """Draw one row for each sound: the original, the file in the folder `before`, the result."""
    rows = []
    for name, panel in panels.items():
        waveforms = {"original": panel.reference}
        if before:
            waveforms["before"] = read_audio(before / f"{name}.wav", panel.sample_rate)[0][0]
        waveforms["after" if before else "inverted"] = panel.result
        titled = {f"{panel.title}, {title}": each for title, each in waveforms.items()}
        rows.append(Row(panel.sample_rate, titled))
    return draw_rows(rows)


class Row(NamedTuple):
    """Waveforms that are drawn side by side, by their titles; their spectra have one peak."""

    sample_rate: float
    waveforms: Mapping[str, Tensor]


def draw_rows(
    rows: Sequence[Row],
    cells: tuple[int, int] = _CELLS,
    inches: tuple[float, float] = _INCHES,
) -> Figure:
    """Draw spectrograms of `cells`, each of a size in inches."""
    n_columns = len(rows[0].waveforms)
    size = (inches[0] * n_columns, inches[1] * len(rows))
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    grid = figure.subplots(len(rows), n_columns, squeeze=False)
    for axes, (sample_rate, waveforms) in zip(grid, rows, strict=True):
        spectra = [_decibels(each, sample_rate, cells) for each in waveforms.values()]
        peak = max(float(each.max()) for each in spectra)
        for axis, (title, waveform), spectrum in zip(axes, waveforms.items(), spectra, strict=True):
            axis.imshow(
                spectrum.numpy(),
                origin="lower",
                aspect="auto",
                extent=(0, len(waveform) / sample_rate, 0, sample_rate / 2000),
                interpolation="nearest",
                cmap="magma",
                vmin=peak - RANGE_DB,
                vmax=peak,
            )
            axis.spines[:].set_visible(False)  # a frame would hide the edges
            axis.tick_params(labelsize=7)
            axis.set_title(title, fontsize=8, loc="left")
        axes[0].set_ylabel("kHz", fontsize=7)
    for axis in grid[-1]:
        axis.set_xlabel("s", fontsize=7)
    return figure
