"""A comparison as JSON and CSV. `docs/guide/evaluation.md` describes both."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

from torchmelinv._utils.text import plain
from torchmelinv.corpus.comparison import Comparison
from torchmelinv.io.paths import atomic_write

__all__ = ["comparison_to_dict", "write_comparison_csv"]


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values for JSON.

    Args:
        comparison: The comparison.

    Returns:
        Dictionaries, lists, strings, numbers, and None in place of NaN and infinity.

    Example:
        >>> from torchmelinv.corpus import Pair, ScoredPair, compare, comparison_to_dict
        >>> scored = [ScoredPair(Pair("a", None, None), {"estoi": 0.9})]
        >>> comparison_to_dict(compare({"ours": scored}))["items"][0]["scores"]
        {'ours': {'estoi': 0.9}}
    """
    items = [
        {
            "name": item.name,
            "reference": str(item.reference) if item.reference else None,
            "generated": {system: str(path) for system, path in item.generated.items()},
            "scores": item.scores,
            "notes": item.notes,
            "errors": item.errors,
        }
        for item in comparison.items
    ]
    systems = []
    for system in comparison.systems:
        failed = sum(1 for item in comparison.items if system in item.errors)
        scored = sum(1 for item in comparison.items if system in item.scores)
        counts = {"scored": scored, "failed": failed, **comparison.absent.get(system, {})}
        systems.append({"name": system, **counts})
    document = {
        "systems": systems,
        "interval": comparison.interval,
        "metrics": [dataclasses.asdict(metric) for metric in comparison.metrics],
        "means": [dataclasses.asdict(each) for each in comparison.summary],
        "differences": [dataclasses.asdict(each) for each in comparison.differences],
        "items": items,
    }
    return dict(plain(document))


def write_comparison_csv(comparison: Comparison, path: str | Path) -> None:
    """Write all scores as CSV: one row for each item and system, one column for each metric.

    Args:
        comparison: The comparison.
        path: Path of the file. Metrics that are not defined are empty.

    Raises:
        FileError: If the file cannot be written.
        DiskError: If the disk is full or read-only.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import Pair, ScoredPair, compare, write_comparison_csv
        >>> scored = [ScoredPair(Pair("a", Path("g/a.wav"), Path("r/a.wav")), {"estoi": 0.9})]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_comparison_csv(compare({"ours": scored}), Path(folder, "scores.csv"))
        ...     print(Path(folder, "scores.csv").read_text().splitlines()[1])
        a,ours,r/a.wav,g/a.wav,,0.9
    """
    names = [metric.name for metric in comparison.metrics]
    with (
        atomic_write(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "system", "reference", "generated", "error", *names])
        for item in comparison.items:
            for system in comparison.systems:
                scores = item.scores.get(system, {})
                values = [scores.get(name, math.nan) for name in names]
                writer.writerow(
                    [
                        item.name,
                        system,
                        item.reference or "",
                        item.generated.get(system, ""),
                        item.errors.get(system, ""),
                        *(repr(value) if math.isfinite(value) else "" for value in values),
                    ]
                )
