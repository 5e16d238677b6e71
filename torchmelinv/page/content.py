"""The tables of a comparison in the form that the page's script reads."""

from __future__ import annotations

import math
from typing import Any

from torchmelinv._utils.text import plain, printable
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.comparison import Comparison
from torchmelinv.corpus.metric_labels import MetricInfo
from torchmelinv.page.sounds import Encoding
from torchmelinv.plot.panels import RANGE_DB, frequency_ticks

REFERENCE = "reference"
_BETTER = {True: "higher", False: "lower", None: "zero"}
_TICK_DISTANCE = 0.2  # at least, as a part of the axis


def system_names(comparison: Comparison) -> list[str]:
    """Return the names of the page's columns: the reference, if any item has one, and systems."""
    has_reference = any(item.reference for item in comparison.items)
    return [*([REFERENCE] if has_reference else []), *comparison.systems]


def tables(comparison: Comparison, encoding: Encoding) -> dict[str, Any]:
    """Return everything but the items.

    Args:
        comparison: The comparison.
        encoding: Format of the sounds.

    Returns:
        Values for JSON. Systems and metrics are indices into their lists.
    """
    names = system_names(comparison)
    metrics = [metric.name for metric in comparison.metrics]
    offset = len(names) - len(comparison.systems)
    column = {system: index + offset for index, system in enumerate(comparison.systems)}
    summary: list[list[Any]] = [[None] * len(names) for _ in metrics]
    for each in comparison.summary:
        if each.n:
            values = {"mean": each.mean, "low": each.low, "high": each.high, "n": each.n}
            summary[metrics.index(each.metric)][column[each.system]] = values
    differences = [
        {
            "metric": metrics.index(each.metric),
            "a": column[each.system],
            "b": column[each.other],
            "mean": each.mean,
            "low": each.low,
            "high": each.high,
            "n": each.n,
        }
        for each in comparison.differences
        if each.n
    ]
    of = "the reference's peak" if offset else "the peak of the first system"
    return plain(
        {
            "about": _about(comparison, encoding),
            "systems": [
                {"name": printable(name), "reference": index < offset}
                for index, name in enumerate(names)
            ],
            "metrics": list(map(_metric, comparison.metrics)),
            "summary": summary,
            "differences": differences,
            "interval": comparison.interval,
            "audioType": encoding.media_type,
            "frequencies": _frequencies(comparison.convention),
            "scale": (f"−{RANGE_DB:g} dB", "0 dB", f"relative to {of}; mel bands in Hz"),
        }
    )


def _about(comparison: Comparison, encoding: Encoding) -> str:
    count, convention = len(comparison.items), comparison.convention
    parts = [f"{count} item{'s' * (count != 1)}"]
    if convention is not None:
        parts.append(f"{convention.n_mels} mel bands at {convention.sample_rate:g} Hz")
    return " · ".join((*parts, encoding.text))


def _metric(metric: MetricInfo) -> dict[str, Any]:
    return {
        "label": metric.label,
        "unit": metric.unit,
        "digits": metric.decimals,
        "better": _BETTER[metric.higher_is_better],
        "description": metric.description,
    }


def _frequencies(convention: MelConvention | None) -> list[dict[str, Any]]:
    """Return round frequencies with their places on the axis, far enough apart to be read."""
    chosen: list[dict[str, Any]] = []
    if convention is None:
        return chosen
    for band, text in zip(*frequency_ticks(convention), strict=True):
        share = (band + 0.5) / convention.n_mels
        if share - (chosen[-1]["share"] if chosen else -math.inf) >= _TICK_DISTANCE:
            chosen.append({"share": share, "text": text})
    return chosen


def scores_and_notes(comparison: Comparison, index: int) -> dict[str, Any]:
    """Return the scores of an item, (metrics, systems), and what there is to say about it."""
    item = comparison.items[index]
    # The reference has no scores, and a system may have the same name.
    none: list[float | None] = [None] * (len(system_names(comparison)) - len(comparison.systems))
    scores = [
        none + [item.scores.get(system, {}).get(metric.name) for system in comparison.systems]
        for metric in comparison.metrics
    ]
    notes = [f"{system}: {note}" for system, notes in item.notes.items() for note in notes]
    notes += [f"{system}: {error}" for system, error in item.errors.items()]
    notes = [printable(note) for note in notes]
    return plain({"name": printable(item.name), "scores": scores, "notes": notes})
