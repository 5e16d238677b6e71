"""What the methods must reach: averages over speech, each beside its bound, reached or missed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.common import Record
from benchmarks.rows import CASCADE, Row, row
from benchmarks.scores import mean

OURS = ("mel_consistent", "pghi")
# (convention, iterations): bounds of the joint method on clean mels; errors from above, the rest from below
CLEAN = {
    ("hifigan_22k", 32): {"pesq_wb": 4.0, "estoi": 0.963, "mel_error_db": -29.5},
    ("hifigan_22k", 100): {"pesq_wb": 4.13, "estoi": 0.97, "mel_error_db": -36.0},
    ("hifigan_22k", 300): {"pesq_wb": 4.25, "estoi": 0.974, "mel_error_db": -41.0},
    ("power_80", 100): {"pesq_wb": 4.0},
    ("librosa_melspectrogram", 100): {"pesq_wb": 3.55, "estoi": 0.91, "mel_error_db": -40.0},
}
# What "clearly above librosa" is taken to mean.
CLEARLY = {"pesq_wb": 0.1, "estoi": 0.005}
TRUE_CONVERGENCE_DB = -33.0


def speech_mean(section: Record, which: Row) -> dict[str, float]:
    """The row's average over the clips of speech that have it; empty where none has."""
    found = [clip[which.key] for name, clip in section.items() if name.startswith("speech_") and which.key in clip]
    return mean(found) if found else {}


def true_mean(section: Record, which: Row) -> float:
    """Average spectral convergence at the true magnitude, dB."""
    return statistics.fmean(clip[which.key] for clip in section.values())


def true_rows(section: Record) -> list[Row]:
    """The rows of the section of the true magnitude."""
    return [row(key) for key in next(iter(section.values()))]


def _target(what: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> Record:
    reached = value <= at_most if at_most is not None else value >= (at_least or 0.0)
    limit = {"at_least": at_least} if at_most is None else {"at_most": at_most}
    return {"what": what, "value": round(value, 4), **limit, "reached": reached}


def _degraded(finalists: Record) -> Iterator[Record]:
    """The least gain over the cascade after as many iterations, and over librosa after 32, of all conventions."""
    for mel in ("blurred", "noisy"):
        for metric, clearly in CLEARLY.items():
            for rival, n_iter, bound in ((CASCADE, 32, 0.0), (CASCADE, 100, 0.0), ("librosa", 32, clearly)):
                gains = {}
                for name, section in finalists.items():
                    ours = speech_mean(section, Row(mel, *OURS, n_iter))
                    theirs = speech_mean(section, Row(mel, rival, "random", n_iter))
                    if ours and theirs:
                        gains[name] = ours[metric] - theirs[metric]
                worst = min(gains, key=gains.__getitem__)
                what = f"{mel} mels, mel_consistent above {rival} after {n_iter}, {metric}, least of {len(gains)}: {worst}"
                yield _target(what, gains[worst], at_least=bound)


def _truth(section: Record) -> Iterator[Record]:
    values = {each: true_mean(section, each) for each in true_rows(section)}
    best = min((each for each in values if each.n_iter == 100), key=values.__getitem__)
    what = f"true magnitude at 75 % overlap, best after 100 ({best.method.removeprefix('true+')} from {best.start}), dB"
    yield _target(what, values[best], at_most=TRUE_CONVERGENCE_DB)
    chance = values[Row("clean", "true+fast_griffin_lim", "random", 40)]
    read = {start: values[Row("clean", "true+fast_griffin_lim", start, 10)] for start in ("spsi", "pghi")}
    start = min(read, key=read.__getitem__)
    yield _target(f"true magnitude, fast_griffin_lim 10 from {start} behind 40 from random, dB", read[start] - chance, at_most=0)


def verdict(record: Record) -> list[Record]:
    """Every target with its value."""
    finalists: Record = record["finalists"]
    found = []
    for (name, n_iter), bounds in CLEAN.items():
        ours = speech_mean(finalists[name], Row("clean", *OURS, n_iter))
        for metric, bound in bounds.items():
            limit = {"at_most": bound} if bound < 0 else {"at_least": bound}
            found.append(_target(f"{name}, mel_consistent from pghi after {n_iter}, {metric}", ours[metric], **limit))
    return [*found, *_degraded(finalists), *_truth(record["truth"]["hifigan_22k"])]
