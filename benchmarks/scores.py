"""How close a waveform comes to the recording that its mel was made of."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from torch import Tensor

import torchmelinv as tmi
from torchmelinv import functional
from torchmelinv.files import resample

METRIC_RATE = 16000
# key of the file: (head of the column, how a number is written); a score is a list in this order
METRICS: dict[str, tuple[str, str]] = {
    "pesq_wb": ("PESQ-WB", "{:.2f}"),
    "estoi": ("ESTOI", "{:.3f}"),
    "mel_error_db": ("mel error, dB", "{:.1f}"),
    "log_mel_l1": ("log-mel L1", "{:.3f}"),
    "spectral_convergence_db": ("spectral convergence, dB", "{:.1f}"),
    "seconds": ("seconds", "{:.2f}"),
}
Scores = list[float | None]


def convergence(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer) -> float:
    """Spectral convergence against the recording's own magnitude, dB."""
    magnitude, wanted = (analyzer.frame.analyse(signal).abs() for signal in (waveform, clip))
    return float(functional.spectral_convergence_db(magnitude, wanted))


def distances(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer) -> dict[str, float]:
    """Mel error (dB), log-mel L1 (nepers of magnitude) and spectral convergence (dB)."""
    mel, reference = analyzer.linear(waveform), analyzer.linear(clip)
    power = analyzer.convention.power
    return {
        "mel_error_db": float(functional.mel_error_db(mel, reference)),
        "log_mel_l1": float(functional.log_mel_l1(mel.pow(1 / power), reference.pow(1 / power))),
        "spectral_convergence_db": convergence(waveform, clip, analyzer),
    }


def perceptual(waveform: Tensor, clip: Tensor, sample_rate: float) -> dict[str, float]:
    """PESQ wide-band (mean opinion score) and ESTOI (0 to 1), both at 16 kHz."""
    from pesq import pesq  # optional, and the tables do without
    from pystoi import stoi

    found, wanted = (resample(signal[None], sample_rate, METRIC_RATE)[0].numpy() for signal in (waveform, clip))
    estoi = stoi(wanted, found, METRIC_RATE, extended=True)
    return {"pesq_wb": float(pesq(METRIC_RATE, wanted, found, "wb")), "estoi": float(estoi)}


def scores(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer, seconds: float, *, is_speech: bool) -> Scores:
    """Every metric in the order of `METRICS`; what is for speech alone is None elsewhere."""
    found = perceptual(waveform, clip, analyzer.convention.sample_rate) if is_speech else {}
    found = {**found, **distances(waveform, clip, analyzer), "seconds": seconds}
    return [round(found[name], 4) if name in found else None for name in METRICS]


def mean(rows: Iterable[Scores]) -> dict[str, float]:
    """Average of every metric over the clips that have it; of the seconds, the median."""
    named = zip(METRICS, zip(*rows, strict=True), strict=True)
    columns = {name: [value for value in column if value is not None] for name, column in named}
    average = {"seconds": statistics.median}
    return {name: average.get(name, statistics.fmean)(column) for name, column in columns.items() if column}
