"""GPU targets and their values in a file. A target without a value is not reached.

Speed is that of the public functions ("kernels"); of a single step it is that of the device alone,
as a graph of a chain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.gpu_inputs import MAIN, SETTINGS
from benchmarks.gpu_step_cases import STEP_ERROR
from benchmarks.records import Record

TORCHAUDIO, KERNELS, STEP = "torchaudio", "kernels", "kernels, graph"
KERNEL_IMPLEMENTATIONS = (KERNELS, "pairs kernels", "fused kernels")
END_DB = 0.05  # of means over a batch, after many iterations


class Target(NamedTuple):
    """One target; `value` is None if it was not measured."""

    what: str
    value: float | None
    limit: str
    reached: bool
    implementation: str  # that the value belongs to


def value_of(record: Record, key: str, name: str, field: str = "seconds") -> Any:
    """Return a field of an implementation; None if the file does not have it."""
    case = record["cases"].get(key, {})
    return case.get("implementations", {}).get(name, {}).get(field)


def evaluate(record: Record) -> Sequence[Target]:
    """Return all targets with their values."""
    return [*_speed(record), *_accuracy(record)]


def _at_least(what: str, value: float | None, limit: float) -> Target:
    """Return a target for a ratio of the public functions."""
    reached = value is not None and value >= limit
    return Target(what, value, f"≥ {limit:g} ×", reached, KERNELS)


def _at_most(
    what: str, value: float | None, limit: float, implementation: str, unit: str = ""
) -> Target:
    reached = value is not None and value <= limit
    return Target(what, value, f"≤ {limit:g}{unit}", reached, implementation)


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return numerator / denominator if numerator and denominator else None


def _speed(record: Record) -> list[Target]:
    targets = []
    for batch, limit in ((1, 15), (16, 8), (64, 8)):
        key = f"call {MAIN} batch {batch}"
        value = _ratio(value_of(record, key, TORCHAUDIO), value_of(record, key, KERNELS))
        what = f"fast Griffin-Lim, {MAIN}, batch {batch}: speed relative to torchaudio"
        targets.append(_at_least(what, value, limit))
    value = value_of(record, f"step {MAIN} batch 64", STEP, "times_memory_bound")
    what = f"one iteration, {MAIN}, batch 64: time relative to the memory bound"
    targets.append(_at_most(what, value, 3, STEP, " ×"))
    seconds = value_of(record, "entropic batch 64", KERNELS)
    value = None if seconds is None else 1e3 * seconds
    targets.append(_at_most("entropic magnitude of 55168 frames, ms", value, 3, KERNELS))
    for batch in (16, 64):
        mel_step = value_of(record, f"mel batch {batch}", STEP)
        value = _ratio(mel_step, value_of(record, f"step {MAIN} batch {batch}", STEP))
        what = f"mel-consistent iteration, batch {batch}: time relative to fast Griffin-Lim"
        targets.append(_at_most(what, value, 1.5, STEP, " ×"))
    gradient = {
        "speed relative to torchaudio": ("seconds", 4),
        "torchaudio's peak memory relative to ours": ("peak_bytes", 8),
    }
    for name, (field, limit) in gradient.items():
        key = "gradient batch 16"
        value = _ratio(
            value_of(record, key, TORCHAUDIO, field), value_of(record, key, KERNELS, field)
        )
        targets.append(_at_least(f"forward and backward, batch 16: {name}", value, limit))
    return targets


def _accuracy(record: Record) -> list[Target]:
    """Return the worst values over all settings and kernels that support them.

    While a value is missing, a target can only be missed.
    """
    values: dict[str, Record] = {}
    incomplete = False
    for setting in SETTINGS:
        for name in KERNEL_IMPLEMENTATIONS:
            accuracy = value_of(record, f"accuracy {setting}", name, "accuracy")
            if accuracy:
                values[f"{name}, {setting}"] = accuracy
            elif not value_of(record, f"accuracy {setting}", name, "unsupported"):
                incomplete = True

    def worst(what: str, error_of: Callable[[Record], float], limit: float) -> Target:
        errors = {name: error_of(accuracy) for name, accuracy in values.items()}
        ranked = {name: math.inf if math.isnan(e) else e for name, e in errors.items()}
        name = max(ranked, key=ranked.__getitem__, default="")
        value = errors.get(name)
        missed = value is not None and not value <= limit
        return _at_most(what, value if missed or not incomplete else None, limit, name)

    after = "minus float64's after 100 iterations, dB"
    return [
        worst("error of a step, relative to the peak", lambda a: a["step_error"], STEP_ERROR),
        worst(f"spectral convergence {after}", lambda a: a["convergence_error_db"], END_DB),
        worst(f"log-spectral distance {after}", lambda a: a["log_spectral_error_db"], END_DB),
        worst("not reproducible bit for bit (1: yes)", lambda a: 1.0 - a["reproducible"], 0),
        worst("an item depends on its batch (1: yes)", lambda a: 1.0 - a["batch_independent"], 0),
    ]
