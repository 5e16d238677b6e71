"""Several systems on the same items: scores, means with intervals, and paired differences."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.metric_labels import MetricInfo, metric_info
from torchmelinv.corpus.pairs import SIDES
from torchmelinv.io.mels import MelLayout
from torchmelinv.metrics.glossary import METRICS
from torchmelinv.metrics.scores import INTERVAL, bootstrap_mean

__all__ = [
    "ComparedItem",
    "Comparison",
    "PairedDifference",
    "SystemSummary",
    "compare",
]


@dataclasses.dataclass(frozen=True)
class ComparedItem:
    """One reference with what each system made of it.

    Args:
        name: Relative path without suffix, which all files of the item share.
        reference: The reference file; None if there is none.
        generated: The file of each system that has one: audio, or a mel.
        scores: Scores by system and metric; NaN where a metric is not defined. A system without
            scores is absent.
        notes: By system, how the two files were made comparable, and metrics without a value.
        errors: By system, the reason why it has no scores.
        layout: How mels lie in the files.

    Example:
        >>> from torchmelinv.corpus import ComparedItem
        >>> ComparedItem("a", None, {}, {"ours": {"estoi": 0.9}}).scores["ours"]["estoi"]
        0.9
    """

    name: str
    reference: Path | None
    generated: dict[str, Path]
    scores: dict[str, dict[str, float]]
    notes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    errors: dict[str, str] = dataclasses.field(default_factory=dict)
    layout: MelLayout = dataclasses.field(default_factory=MelLayout)


@dataclasses.dataclass(frozen=True)
class SystemSummary:
    """The mean of one metric over the items of one system.

    Args:
        system: Name of the system.
        metric: Name of the metric.
        mean: Mean of the finite values.
        low: Lower end of the 95 % bootstrap interval of the mean; NaN for a single item.
        high: Upper end.
        median: Median of the finite values.
        n: Number of finite values.

    Example:
        >>> from torchmelinv.corpus import SystemSummary
        >>> SystemSummary("ours", "estoi", 0.9, 0.88, 0.92, 0.9, 40).n
        40
    """

    system: str
    metric: str
    mean: float
    low: float
    high: float
    median: float
    n: int


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """The mean difference of one metric between two systems, over the items that both have.

    Args:
        system: Name of the system a.
        other: Name of the system b.
        metric: Name of the metric.
        mean: Mean of a − b.
        low: Lower end of its 95 % bootstrap interval; NaN for a single item.
        high: Upper end.
        n: Number of items where both have a finite value.

    Example:
        >>> from torchmelinv.corpus import PairedDifference
        >>> PairedDifference("ours", "baseline", "estoi", 0.03, 0.01, 0.05, 40).is_clear
        True
    """

    system: str
    other: str
    metric: str
    mean: float
    low: float
    high: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval does not hold 0."""
        return self.low > 0 or self.high < 0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Scores of several systems on the same items.

    Args:
        systems: Names of the systems, in the order in which they were given.
        metrics: The metrics that at least one item has, in the order of `metrics.METRICS`.
        items: The items, sorted by name.
        summary: One entry for each metric and system.
        differences: One entry for each metric and each pair of systems, a before b in `systems`.
        convention: The convention in which mels are compared, and may be drawn.
        absent: For each system, how many names have no generated file, and how many no reference.
            Those are in `items` only if another system has both files.
        interval: How the intervals were computed.

    Example:
        >>> from torchmelinv.corpus import Pair, ScoredPair, compare
        >>> def scored(*values):
        ...     pairs = (Pair(str(index), None, None) for index in range(len(values)))
        ...     return [ScoredPair(p, {"estoi": v}) for p, v in zip(pairs, values)]
        >>> comparison = compare({"ours": scored(0.9, 0.8), "baseline": scored(0.7, 0.7)})
        >>> comparison.summary_of("ours", "estoi").mean.__round__(2)
        0.85
        >>> comparison.difference_of("ours", "baseline", "estoi").mean.__round__(2)
        0.15
    """

    systems: tuple[str, ...]
    metrics: tuple[MetricInfo, ...]
    items: list[ComparedItem]
    summary: tuple[SystemSummary, ...] = ()
    differences: tuple[PairedDifference, ...] = ()
    convention: MelConvention | None = None
    absent: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    interval: str = INTERVAL

    def summary_of(self, system: str, metric: str) -> SystemSummary:
        """Return the summary of a system and a metric.

        Args:
            system: Name of the system.
            metric: Name of the metric.

        Returns:
            Its mean, interval, median and count.
        """
        return next(e for e in self.summary if (e.system, e.metric) == (system, metric))

    def difference_of(self, system: str, other: str, metric: str) -> PairedDifference:
        """Return the paired difference of two systems in a metric.

        Args:
            system: Name of the system a.
            other: Name of the system b, which may stand before a in `systems`.
            metric: Name of the metric.

        Returns:
            Mean of a − b with its interval.
        """
        for each in self.differences:
            if (each.system, each.other, each.metric) == (system, other, metric):
                return each
        each = next(
            e for e in self.differences if (e.system, e.other, e.metric) == (other, system, metric)
        )
        return PairedDifference(
            system, other, metric, 0 - each.mean, 0 - each.high, 0 - each.low, each.n
        )


def compare(
    scored: Mapping[str, Iterable[ScoredPair]], convention: MelConvention | None = None
) -> Comparison:
    """Bring the scores of several systems together.

    Args:
        scored: The scored pairs of each system, by its name, as `evaluate` returns them.
        convention: The convention of the mels.

    Returns:
        All scores by item, means with intervals, and paired differences.

    Example:
        >>> from torchmelinv.corpus import Pair, ScoredPair, compare
        >>> scored = [ScoredPair(Pair("a", None, None), {"estoi": 0.9})]
        >>> compare({"ours": scored}).summary[0].mean
        0.9
    """
    pairs = {system: {each.pair.name: each for each in rows} for system, rows in scored.items()}
    absent = {
        system: {f"no_{side}": sum(row.pair.lacks(side) for row in rows.values()) for side in SIDES}
        for system, rows in pairs.items()
    }
    pairs = {
        system: {name: row for name, row in rows.items() if not any(map(row.pair.lacks, SIDES))}
        for system, rows in pairs.items()
    }
    systems = tuple(pairs)
    names = sorted({name for by_name in pairs.values() for name in by_name})
    items = [
        _item(name, {s: pairs[s][name] for s in systems if name in pairs[s]}) for name in names
    ]
    used = {m for item in items for scores in item.scores.values() for m in scores}
    metrics = tuple(metric_info(name) for name in METRICS if name in used)
    summary, differences = [], []
    for metric in metrics:
        columns = {s: _values(items, s, metric.name) for s in systems}
        for system, values in columns.items():
            summary.append(SystemSummary(system, metric.name, *bootstrap_mean(values.values())))
        for first, second in itertools.combinations(systems, 2):
            common = columns[first].keys() & columns[second].keys()
            mean = bootstrap_mean(columns[first][n] - columns[second][n] for n in common)
            differences.append(
                PairedDifference(first, second, metric.name, mean.mean, mean.low, mean.high, mean.n)
            )
    return Comparison(
        systems, metrics, items, tuple(summary), tuple(differences), convention, absent
    )


def _item(name: str, rows: Mapping[str, ScoredPair]) -> ComparedItem:
    """Return one item from the scored pair of each system that has the name."""
    references = [row.pair.reference for row in rows.values() if row.pair.reference]
    return ComparedItem(
        name,
        references[0] if references else None,
        {s: row.pair.generated for s, row in rows.items() if row.pair.generated},
        {s: row.scores for s, row in rows.items() if row.scores},
        {s: row.notes for s, row in rows.items() if row.notes},
        {s: row.error for s, row in rows.items() if row.error},
        next(iter(rows.values())).pair.layout,
    )


def _values(items: Sequence[ComparedItem], system: str, metric: str) -> dict[str, float]:
    """Return the finite values of a metric by item."""
    values = {item.name: item.scores.get(system, {}).get(metric, math.nan) for item in items}
    return {name: value for name, value in values.items() if math.isfinite(value)}
