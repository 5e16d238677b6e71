"""A comparison as a table for terminals, and the glossary of its metrics."""

from __future__ import annotations

import math
import textwrap

from torchmelinv._utils.text import printable
from torchmelinv.cli.describe import format_table
from torchmelinv.corpus.comparison import Comparison, SystemSummary
from torchmelinv.corpus.metric_labels import MetricInfo, metric_info
from torchmelinv.metrics.glossary import METRICS

_FEWEST_COLUMNS = 4
_GLOSSARY_WIDTH = 92  # characters of a line


def format_comparison(comparison: Comparison, width: int) -> list[str]:
    """Return a table with a row for each metric and system; columns beyond the width are left out.

    The difference is that to the first system, over the items that both have.
    """
    first, several = comparison.systems[0], len(comparison.systems) > 1
    difference = f"minus {printable(first)}"
    rows = [["", "system", "mean", "95 % interval", "pairs", difference, "median", "worst", ""]]
    for metric in comparison.metrics:
        heading = metric.heading
        for system in comparison.systems:
            summary = comparison.summary_of(system, metric.name)
            rows.append([heading, printable(system), *_cells(comparison, metric, summary)])
            heading = ""
    if not several:
        rows = [[*row[:1], *row[2:5], *row[6:]] for row in rows]
    for columns in range(len(rows[0]), _FEWEST_COLUMNS - 1, -1):
        shown = [row[:columns] for row in rows]
        lines = format_table(shown, right=range(2 if several else 1, len(rows[0]) - 1))
        if max(map(len, lines)) <= width:
            break
    if several:
        lines.append(
            f"{difference}: paired difference with its 95 % interval, * where that does not hold 0"
        )
    return lines


def _cells(comparison: Comparison, metric: MetricInfo, summary: SystemSummary) -> list[str]:
    """Return mean, interval, count, difference, median, worst value and its item as text."""
    digits = metric.decimals
    if summary.n == 0:
        return ["not defined", "", "0", "", "", "", ""]
    interval = f"{summary.low:.{digits}f} … {summary.high:.{digits}f}" if summary.n > 1 else "–"
    worst, name = _worst(comparison, metric, summary.system)
    return [
        f"{summary.mean:.{digits}f}",
        interval,
        str(summary.n),
        _difference(comparison, metric, summary.system),
        f"{summary.median:.{digits}f}",
        f"{worst:.{digits}f}",
        printable(name),
    ]


def _difference(comparison: Comparison, metric: MetricInfo, system: str) -> str:
    """Return the paired difference to the first system as text."""
    first, digits = comparison.systems[0], metric.decimals
    if system == first:
        return ""
    each = comparison.difference_of(system, first, metric.name)
    if each.n == 0:
        return "–"
    mark = "*" if each.is_clear else " "
    mean, low, high = (_signed(value, digits) for value in (each.mean, each.low, each.high))
    return f"{mean} ({low} … {high}){mark}" if each.n > 1 else f"{mean} "


def _signed(value: float, digits: int) -> str:
    """Return a number with its sign; 0 has none."""
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def _worst(comparison: Comparison, metric: MetricInfo, system: str) -> tuple[float, str]:
    """Return the worst finite value of a metric and the name of its item."""
    values = [
        (item.scores.get(system, {}).get(metric.name, math.nan), item.name)
        for item in comparison.items
    ]
    finite = [value for value in values if math.isfinite(value[0])]
    if metric.higher_is_better is None:
        return max(finite, key=lambda value: abs(value[0]))
    return min(finite) if metric.higher_is_better else max(finite)


def format_glossary() -> list[str]:
    """Return what each metric measures and what a good number is, as lines."""
    lines = []
    for name in METRICS:
        if not name.startswith("reference_"):
            metric = metric_info(name)
            lines.append(f"{metric.heading}  ({name})")
            text = textwrap.fill(metric.description, _GLOSSARY_WIDTH)
            lines += textwrap.indent(text, "    ").splitlines()
    return lines
