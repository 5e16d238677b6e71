"""Quality targets: bounds for means over speech, reached or not."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator

from benchmarks import equal_time
from benchmarks.records import Record
from benchmarks.rows import CASCADE, ITERATIONS, Row, parse_row
from benchmarks.scores import mean

OURS = ("coarse_to_fine", "pghi")
AT_THE_FULL_RATE = "mel_consistent"
# (convention, iterations): bounds for coarse_to_fine from pghi on clean mels. Errors are bounded
# from above, the other metrics from below.
CLEAN = {
    ("hifigan_22k", 32): {
        "pesq_wb": 4.2,
        "estoi": 0.974,
        "mel_error_db": -40.5,
        "log_mel_l1": 0.025,
    },
    ("hifigan_22k", 100): {"pesq_wb": 4.27, "mel_error_db": -42.5, "log_mel_l1": 0.016},
    ("hifigan_22k_512", 32): {"pesq_wb": 3.1, "mel_error_db": -45.0},
    ("power_80", 100): {"pesq_wb": 4.0},
    ("vocos_24k", 32): {"pesq_wb": 4.36},
    ("librosa_melspectrogram", 100): {"pesq_wb": 3.68, "estoi": 0.91, "mel_error_db": -40.0},
}
ERRORS = ("mel_error_db", "log_mel_l1")
# The gain over librosa that is required on degraded mels.
GAIN_OVER_LIBROSA = {"pesq_wb": 0.1, "estoi": 0.005}
# What a mean over 25 clips may lose by chance.
CHANCE = {"pesq_wb": 0.02, "estoi": 0.002}
TRUE_CONVERGENCE_DB = -33.0


def speech_mean(section: Record, which: Row) -> dict[str, float]:
    """Return a row's mean over the speech clips that have it; empty if none has."""
    clips = [clip for name, clip in section.items() if name.startswith("speech_")]
    scores = [clip[which.key] for clip in clips if which.key in clip]
    return mean(scores) if scores else {}


def true_mean(section: Record, which: Row) -> float:
    """Return the mean spectral convergence at the true magnitude in dB."""
    return statistics.fmean(clip[which.key] for clip in section.values())


def true_rows(section: Record) -> list[Row]:
    """Return the rows of the section of the true magnitude."""
    return [parse_row(key) for key in next(iter(section.values()))]


def evaluate(record: Record) -> list[Record]:
    """Return every target with its value."""
    comparison: Record = record["comparison"]
    return [
        *_clean(comparison),
        *_at_equal_time(comparison),
        *_degraded(comparison),
        *_true(record["true_magnitude"]["hifigan_22k"]),
    ]


def target(
    what: str, value: float, *, at_most: float | None = None, at_least: float | None = None
) -> Record:
    """Return the entry of a bound for the file."""
    if at_most is not None:
        limit, reached = {"at_most": at_most}, value <= at_most
    else:
        limit, reached = {"at_least": at_least}, value >= (at_least or 0.0)
    return {"what": what, "value": round(value, 4), **limit, "reached": reached}


def _clean(comparison: Record) -> Iterator[Record]:
    for (name, n_iter), bounds in CLEAN.items():
        ours = speech_mean(comparison[name], Row("clean", *OURS, n_iter))
        for metric, bound in bounds.items():
            limit = {"at_most" if metric in ERRORS else "at_least": bound}
            what = f"{name}: {metric} of {OURS[0]} from pghi, {n_iter} iterations"
            yield target(what, ours[metric], **limit)


def full_rate(section: Record, which: Row) -> dict[str, float]:
    """Return the mean of `mel_consistent` on speech where it takes as long as a row."""
    rows = [which._replace(method=AT_THE_FULL_RATE, n_iter=n_iter) for n_iter in ITERATIONS]
    measured = [means for row in rows if (means := speech_mean(section, row))]
    return equal_time.at(speech_mean(section, which)["seconds"], measured)


def _at_equal_time(comparison: Record) -> Iterator[Record]:
    """Yield the smallest gains over `mel_consistent` in the same processor time."""
    for mel in ("clean", "blurred", "noisy"):
        row = Row(mel, *OURS, 32)
        for metric, chance in CHANCE.items():
            gains = {
                name: speech_mean(section, row)[metric] - full_rate(section, row)[metric]
                for name, section in comparison.items()
            }
            worst = min(gains, key=gains.__getitem__)
            what = (
                f"{mel} mels: {metric} of {OURS[0]} minus that of {AT_THE_FULL_RATE} in the same "
                f"time, 32 iterations, smallest of {len(gains)} conventions ({worst})"
            )
            yield target(what, gains[worst], at_least=-chance)


def _degraded(comparison: Record) -> Iterator[Record]:
    """Yield the smallest gains, over all conventions, above the cascade and above librosa.

    The cascade has the same number of iterations, librosa 32.
    """
    for mel in ("blurred", "noisy"):
        for metric, gain_over_librosa in GAIN_OVER_LIBROSA.items():
            rivals = ((CASCADE, 32, 0.0), (CASCADE, 100, 0.0), ("librosa", 32, gain_over_librosa))
            for rival, n_iter, bound in rivals:
                gains = _gains(comparison, mel, metric, rival, n_iter)
                worst = min(gains, key=gains.__getitem__)
                what = (
                    f"{mel} mels: {metric} of {OURS[0]} minus that of {rival}, {n_iter} "
                    f"iterations, smallest of {len(gains)} conventions ({worst})"
                )
                yield target(what, gains[worst], at_least=bound)


def _gains(comparison: Record, mel: str, metric: str, rival: str, n_iter: int) -> dict[str, float]:
    """Return the gain over a rival by convention, where both were measured."""
    gains = {}
    for name, section in comparison.items():
        ours = speech_mean(section, Row(mel, *OURS, n_iter))
        other = speech_mean(section, Row(mel, rival, "random", n_iter))
        if ours and other:
            gains[name] = ours[metric] - other[metric]
    return gains


def _true(section: Record) -> Iterator[Record]:
    values = {each: true_mean(section, each) for each in true_rows(section)}
    best = min((each for each in values if each.n_iter == 100), key=values.__getitem__)
    phase = best.method.removeprefix("true+")
    what = f"true magnitude, 75 % overlap: best after 100 iterations ({phase}, {best.init}), dB"
    yield target(what, values[best], at_most=TRUE_CONVERGENCE_DB)
    fast = functools.partial(Row, "clean", "true+fast_griffin_lim")
    estimated = {init: values[fast(init, 10)] for init in ("spsi", "pghi")}
    init = min(estimated, key=estimated.__getitem__)
    what = f"true magnitude: fast_griffin_lim, 10 iterations from {init} minus 40 from random, dB"
    yield target(what, estimated[init] - values[fast("random", 40)], at_most=0)
