"""Means of the benchmark of predicted mels, and the bounds that they must reach."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.predicted_material import MODELS, NATIVE
from benchmarks.records import Record
from benchmarks.targets import target

OPINION_LOSS = 0.1  # DistillMOS below that of the models' own vocoder
LOSS = 0.05  # DNSMOS below that of the exact inversion
# DNSMOS of FastSpeech 2 by version 0.1.0, which inverted exactly and had no filters at the edges.
FIRST_DNSMOS = 2.90
CLEAN_LOSS, NOISY_LOSS = 0.01, 0.005
BLURRED = {"pesq_wb": 3.4, "estoi": 0.95}  # of mels blurred by 0.7


class Mean(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float


def _mean(values: list[float]) -> Mean:
    return Mean(statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5)


def of_sentences(record: Record, model: str, score: str, method: str, minus: str = "") -> Mean:
    """Return the mean of a score over a model's sentences, or of its paired difference."""
    scored = [each["scores"] for each in record["sentences"].values() if each["model"] == model]
    return _mean([each[method][score] - (each[minus][score] if minus else 0.0) for each in scored])


def of_speech(record: Record, mel: str, score: str, restore: str, minus: str = "") -> Mean:
    """Return the mean of a score over the recordings that have it, or of its paired difference."""
    scored = [clip[mel] for clip in record["speech"].values() if score in clip[mel][restore]]
    return _mean([each[restore][score] - (each[minus][score] if minus else 0.0) for each in scored])


def of_recordings(record: Record, score: str) -> Mean:
    """Return the mean opinion score of the recordings themselves."""
    clips = record["speech"].values()
    return _mean([clip["recording"][score] for clip in clips if "recording" in clip])


def evaluate(record: Record) -> list[Record]:
    """Return each bound with its value."""
    return [*_sentences(record), *_speech(record)]


def _sentences(record: Record) -> Iterator[Record]:
    first, *_ = MODELS.values()
    value = of_sentences(record, first, "distillmos", "default", NATIVE).value
    what = f"{first}: DistillMOS of the default minus that of the model's own vocoder"
    yield target(what, value, at_least=-OPINION_LOSS)
    value = of_sentences(record, first, "dnsmos", "default").value
    yield target(f"{first}: DNSMOS of the default, against 0.1.0", value, at_least=FIRST_DNSMOS)
    for model in MODELS.values():
        value = of_sentences(record, model, "dnsmos", "default", "exact").value
        what = f"{model}: DNSMOS of the default minus that of the exact inversion"
        yield target(what, value, at_least=-LOSS)


def _speech(record: Record) -> Iterator[Record]:
    for score, bound in BLURRED.items():
        value = of_speech(record, "blurred 0.7", score, "auto").value
        yield target(f"mels blurred by 0.7, default: {score}", value, at_least=bound)
    for score in BLURRED:
        what = f"mels, default minus exact: {score}"
        value = of_speech(record, "clean", score, "auto", "none").value
        yield target(f"clean {what}, size", abs(value), at_most=CLEAN_LOSS)
        value = of_speech(record, "noisy", score, "auto", "none").value
        yield target(f"noisy {what}", value, at_least=-NOISY_LOSS)
    speech = [clip["clean"]["difference"] for clip in record["speech"].values()]
    for name, values in (("speech", speech), ("music", record["music"].values())):
        what = f"clean mels of {name}: largest difference of samples, default minus exact"
        yield target(what, max(values), at_most=0.0)
