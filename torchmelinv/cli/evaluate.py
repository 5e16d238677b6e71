"""`torchmelinv evaluate`: scores of generated files against their references."""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torchmelinv import plot
from torchmelinv._utils.optional import require
from torchmelinv._utils.text import printable
from torchmelinv.cli.console import (
    EXIT_FAILED,
    EXIT_OK,
    failures,
    print_json,
    print_message,
)
from torchmelinv.cli.describe import WIDTH, format_table
from torchmelinv.cli.from_options import (
    check_device,
    convention_from,
)
from torchmelinv.cli.progress import Progress
from torchmelinv.corpus.evaluation import ScoredPair, evaluate, mean_scores
from torchmelinv.corpus.pairs import pair_files
from torchmelinv.errors import DependencyError
from torchmelinv.io.disk_errors import check_writable
from torchmelinv.metrics.perceptual import PACKAGES
from torchmelinv.metrics.scores import INTERVAL, METRICS, Mean

_MAX_NOTES = 20  # printed; --json has all


def run(options: argparse.Namespace) -> int:
    """Score the pairs, print a report and return the exit code."""
    if options.plot:
        plot.check_figure(options.plot)
        with failures():
            check_writable(options.plot)
    convention, device = convention_from(options), check_device(options.device)
    pairs = pair_files(options.generated, options.reference)
    perceptual = any(pair.has_waveforms for pair in pairs) and _has_perceptual_metrics()
    with Progress(len(pairs), len(pairs)) as progress:
        scored = evaluate(
            pairs,
            convention,
            device=device,
            perceptual=perceptual,
            opinion=options.opinion,
            progress=lambda seconds: progress.add(1, 1, seconds),
        )
    means = mean_scores(scored)
    figure_path = options.plot if means else None
    _print_messages(scored)
    if options.json:
        info = {name: getattr(options, name) for name in ("generated", "reference", "convention")}
        print_json(score_report(scored, means, **info, plot=figure_path))
    elif means:
        terminal = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
        print("\n".join(format_scores(means, scored, terminal)))
    sys.stdout.flush()
    if figure_path:  # last: the scores, which took long, are printed whatever happens
        title = f"{options.generated} against {options.reference}, {options.convention}"
        figure = plot.distributions(_values_by_label(scored, means), title=printable(title))
        with failures():
            plot.save(figure, figure_path)
    return EXIT_FAILED if any(pair.error for pair in scored) else EXIT_OK


def _has_perceptual_metrics() -> bool:
    """Return whether PESQ and ESTOI are installed; print a note if not."""
    try:
        for package in PACKAGES:
            require(package, "metrics")
    except DependencyError as error:
        print_message("note", f"without PESQ and ESTOI: {error}")
        return False
    return True


def _values_by_label(
    scored: Iterable[ScoredPair], means: Mapping[str, Mean]
) -> dict[str, list[float]]:
    """Return the values of each metric, with an arrow that points to better values."""
    values = {}
    for name in means:
        arrow = "↑" if METRICS[name].higher_is_better else "↓"
        values[f"{METRICS[name].label} {arrow}"] = [
            pair.scores[name] for pair in scored if name in pair.scores
        ]
    return values


def _worst(name: str, scored: Iterable[ScoredPair]) -> tuple[float, str]:
    """Return the worst finite value of a metric and the name of its pair."""
    values = [(pair.scores.get(name, math.nan), pair.pair.name) for pair in scored]
    finite = [(value, pair) for value, pair in values if math.isfinite(value)]
    return min(finite) if METRICS[name].higher_is_better else max(finite)


def format_scores(means: Mapping[str, Mean], scored: Sequence[ScoredPair], width: int) -> list[str]:
    """Return a table with a row for each metric; columns beyond the width are left out."""
    rows = [["", "better", "mean", "95 % interval", "pairs", "median", "worst", ""]]
    for name, mean in means.items():
        metric = METRICS[name]
        if mean.n == 0:
            rows.append([metric.label, "", "not defined", "", "0", "", "", ""])
            continue
        worst, pair = _worst(name, scored)
        numbers = (mean.mean, mean.low, mean.high, mean.median, worst)
        average, low, high, median, lowest = (f"{each:.{metric.digits}f}" for each in numbers)
        rows.append(
            [
                metric.label,
                "higher" if metric.higher_is_better else "lower",
                average,
                f"{low} … {high}" if mean.n > 1 else "–",
                str(mean.n),
                median,
                lowest,
                printable(pair),
            ]
        )
    for columns in range(8, 2, -1):
        lines = format_table((row[:columns] for row in rows), right=range(2, 7))
        if max(map(len, lines)) <= width:
            break
    return lines


def score_report(
    scored: Sequence[ScoredPair], means: Mapping[str, Mean], **info: Any
) -> dict[str, Any]:
    """Return everything for JSON; `info` holds paths and options."""
    pairs = [
        {
            "name": each.pair.name,
            "generated": each.pair.generated,
            "reference": each.pair.reference,
            "scores": each.scores,
            "notes": each.notes,
            "error": each.error,
        }
        for each in scored
    ]
    failed = sum(1 for each in scored if each.error)
    metrics = {
        name: {**mean._asdict(), "higher_is_better": METRICS[name].higher_is_better}
        for name, mean in means.items()
    }
    return {
        **info,
        "interval": INTERVAL,
        "metrics": metrics,
        "pairs": pairs,
        "scored": len(scored) - failed,
        "failed": failed,
    }


def _print_messages(scored: Sequence[ScoredPair]) -> None:
    """Print notes, the most frequent first and each of them once, then errors."""
    names_by_note: dict[str, list[str]] = {}
    for each in scored:
        for note in each.notes:
            names_by_note.setdefault(note, []).append(each.pair.name)
    notes = sorted(names_by_note.items(), key=lambda item: -len(item[1]))
    for note, names in notes[:_MAX_NOTES]:
        pairs = f"{len(names)} pairs" if len(names) > 1 else names[0]
        print_message("note", f"{pairs}: {note}")
    if len(notes) > _MAX_NOTES:
        print_message("note", f"{len(notes) - _MAX_NOTES} more notes; --json prints all")
    failed = [each for each in scored if each.error]
    for each in failed:
        print_message("error", f"{each.pair.name}: {each.error}")
    if failed:
        print_message("error", f"{len(failed)} of {len(scored)} pairs could not be compared")
