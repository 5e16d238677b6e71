"""Scores of a waveform against the recording that its mel was made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from torch import Tensor

import torchmelinv as tmi
from benchmarks import hearing
from torchmelinv.metrics import METRICS as ALL_METRICS
from torchmelinv.metrics import mel_scores, perceptual_scores, spectral_convergence_db

_SHOWN = ("pesq_wb", "estoi", "mel_error_db", "log_mel_l1", "spectral_convergence_db")
# name in the file: (heading of the column, number format); `Scores` have this order
METRICS: dict[str, tuple[str, str]] = {
    **{name: (ALL_METRICS[name].label, f"{{:.{ALL_METRICS[name].digits}f}}") for name in _SHOWN},
    "seconds": ("seconds", "{:.2f}"),
    **hearing.LOUDNESS,
    **hearing.PITCH,
}
MAIN = (*_SHOWN, "seconds")  # the columns of most tables
Scores = list[float | None]


def convergence(waveform: Tensor, clip: Tensor, analysis: tmi.MelSpectrogram) -> float:
    """Return the spectral convergence toward the recording's magnitude in dB."""
    magnitudes = (analysis.magnitude(signal) for signal in (waveform, clip))
    return float(spectral_convergence_db(*magnitudes))


def scores(
    waveform: Tensor, clip: Tensor, analysis: tmi.MelSpectrogram, seconds: float, *, is_speech: bool
) -> Scores:
    """Return every metric in the order of `METRICS`.

    PESQ, ESTOI and errors of pitch are None except for speech.
    """
    rate = analysis.convention.sample_rate
    mels = (analysis.linear_mel(signal) for signal in (waveform, clip))
    values = mel_scores(*mels, analysis.convention)
    if is_speech:
        values |= perceptual_scores(waveform, clip, rate)
        values |= hearing.pitch_errors(waveform, clip, rate)
    values |= {
        "spectral_convergence_db": convergence(waveform, clip, analysis),
        "seconds": seconds,
        **hearing.loudness_errors(waveform, clip, rate),
    }
    return [round(float(values[name]), 4) if name in values else None for name in METRICS]


def mean(rows: Iterable[Scores]) -> dict[str, float]:
    """Return the mean of every metric over the clips that have it, and the median of seconds."""
    columns = dict(zip(METRICS, zip(*rows, strict=True), strict=True))
    means = {}
    for name, column in columns.items():
        values = [value for value in column if value is not None]
        average = statistics.median if name == "seconds" else statistics.fmean
        if values:
            means[name] = average(values)
    return means
