"""How close a waveform comes to the recording that its mel was made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from torch import Tensor

import torchmelinv as tmi
from torchmelinv import functional
from torchmelinv.measure.scores import METRICS as MEASURED
from torchmelinv.measure.scores import mel_scores, perceptual_scores

_SHOWN = ("pesq_wb", "estoi", "mel_error_db", "log_mel_l1", "spectral_convergence_db")
# key of the file: (head of the column, how a number is written); a score is a list in this order
METRICS: dict[str, tuple[str, str]] = {
    **{name: (MEASURED[name].label, f"{{:.{MEASURED[name].digits}f}}") for name in _SHOWN},
    "seconds": ("seconds", "{:.2f}"),
}
Scores = list[float | None]


def convergence(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer) -> float:
    """Spectral convergence against the recording's own magnitude, dB."""
    magnitude, wanted = (analyzer.frame.analyse(signal).abs() for signal in (waveform, clip))
    return float(functional.spectral_convergence_db(magnitude, wanted))


def scores(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer, seconds: float, *, is_speech: bool) -> Scores:
    """Every metric in the order of `METRICS`; what is for speech alone is None elsewhere."""
    found = mel_scores(analyzer.linear(waveform), analyzer.linear(clip), analyzer.convention)
    if is_speech:
        found |= perceptual_scores(waveform, clip, analyzer.convention.sample_rate)
    values = {**found, "spectral_convergence_db": convergence(waveform, clip, analyzer), "seconds": seconds}
    return [round(float(values[name]), 4) if name in values else None for name in METRICS]


def mean(rows: Iterable[Scores]) -> dict[str, float]:
    """Average of every metric over the clips that have it; of the seconds, the median."""
    named = zip(METRICS, zip(*rows, strict=True), strict=True)
    columns = {name: [value for value in column if value is not None] for name, column in named}
    average = {"seconds": statistics.median}
    return {name: average.get(name, statistics.fmean)(column) for name, column in columns.items() if column}
