"""`torchmelinv evaluate`: scores of the files of one or several systems against references."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

import torchmelinv
from torchmelinv import plot
from torchmelinv._utils.optional import require
from torchmelinv._utils.text import printable
from torchmelinv.cli.comparison_table import format_comparison, format_glossary
from torchmelinv.cli.console import (
    EXIT_FAILED,
    EXIT_OK,
    failures,
    print_json,
    print_message,
)
from torchmelinv.cli.describe import WIDTH
from torchmelinv.cli.from_options import check_device, convention_from, layout_from
from torchmelinv.cli.progress import Progress
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.comparison import Comparison, compare
from torchmelinv.corpus.comparison_files import comparison_to_dict, write_comparison_csv
from torchmelinv.corpus.evaluation import NOT_SYNCHRONOUS, ScoredPair, evaluate
from torchmelinv.corpus.inverted_references import invert_references
from torchmelinv.corpus.pairs import SIDES, Pair, pair_files
from torchmelinv.corpus.score_store import ScoreStore
from torchmelinv.corpus.sharding import World, launched_world, local_device, shard
from torchmelinv.errors import DependencyError, DiskError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.disk_errors import check_writable
from torchmelinv.metrics.perceptual import PACKAGES
from torchmelinv.page import check_page, write_page

_MAX_NOTES = 20  # notes and errors that are printed; --json has all
_MAX_NAMES = 3  # of absent files
INVERTED_REFERENCE = "inverted reference"


def run(options: argparse.Namespace) -> int:
    """Score the pairs of all systems, print a report and return the exit code."""
    if options.glossary:
        print("\n".join(format_glossary()))
        return EXIT_OK
    _check_options(options)
    world = launched_world()
    if world.size > 1 and options.scores is None:
        raise InputError(
            f"this is {world}, and a table needs the scores of all ranks; give --scores DIR, and "
            "run the command once more without the launcher"
        )
    device = check_device(local_device(options.device or _best_device(), world))
    convention = convention_from(options)
    systems = {
        name: pair_files(path, options.reference, layout_from(options))
        for name, path in named_systems(options.generated).items()
    }
    # By name: a reference, and what is inverted of it, belong to one rank.
    own = set(shard(list({pair.name for pairs in systems.values() for pair in pairs}), world))
    shares = {name: [pair for pair in pairs if pair.name in own] for name, pairs in systems.items()}
    if options.inverted_reference:
        shares[INVERTED_REFERENCE] = _invert_references(options, shares, convention, device, world)
    try:
        scored = _score(options, shares, convention, device, world)
    except (KeyboardInterrupt, DiskError):
        _note_interruption(options.scores)
        raise
    if world.size > 1:
        n_scored = sum(not each.error for rows in scored.values() for each in rows)
        print(f"{world}: {n_scored} pairs scored in {options.scores}")
        return EXIT_OK
    comparison = compare(scored, convention)
    _print_messages(scored)
    _write(options, comparison)
    failed = any(item.errors for item in comparison.items)
    return EXIT_FAILED if failed else EXIT_OK


def _note_interruption(scores: str | None) -> None:
    """Say how to go on after an interruption."""
    if scores:
        print_message("note", f"{scores} keeps what is done; the same command goes on from there")
    else:
        print_message("note", "nothing is kept; with --scores DIR, the same command would go on")


def named_systems(arguments: Sequence[str]) -> dict[str, str]:
    """Return the path of each system by its name: ``NAME=DIR``, or the name of the folder."""
    systems: dict[str, str] = {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not equals or not name or "/" in name or Path(argument).exists():
            name, path = Path(argument).resolve().name, argument
        if name in systems or name == INVERTED_REFERENCE:
            raise InputError(f"two systems have the name {name!r}; name them: --generated NAME=DIR")
        systems[name] = path
    return systems


def _check_options(options: argparse.Namespace) -> None:
    """Refuse, before any work, options that are missing and files that cannot be written."""
    missing = [f"--{name}" for name in ("reference", "generated") if not getattr(options, name)]
    if options.convention is None:
        missing.append("--convention")
    if missing:
        raise InputError(f"{', '.join(missing)} must be given")
    if options.plot:
        plot.check_figure(options.plot)
    with failures():
        for path in filter(None, (options.plot, options.csv)):
            check_writable(path)
        if options.html:
            check_page(options.html)
    inputs = [options.reference, *named_systems(options.generated).values()]
    for name, output in (
        ("--html", options.html),
        ("--inverted-reference", options.inverted_reference),
    ):
        if output and os.path.realpath(output) in map(os.path.realpath, inputs):
            raise InputError(f"{output} holds files to compare; give {name} a new folder")


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _invert_references(
    options: argparse.Namespace,
    systems: dict[str, list[Pair]],
    convention: MelConvention,
    device: torch.device,
    world: World,
) -> list[Pair]:
    """Return the inverted references of all names that a system has."""
    pairs = {
        pair.name: pair
        for pairs in systems.values()
        for pair in pairs
        if not any(map(pair.lacks, SIDES))
    }
    with Progress(len(pairs), len(pairs), "inverted references: ") as progress:
        return invert_references(
            [pairs[name] for name in sorted(pairs)],
            options.inverted_reference,
            MelInverter(convention),
            device=device,
            world=world,
            progress=lambda: progress.add(1, 1, 0),
        )


def _score(
    options: argparse.Namespace,
    systems: dict[str, list[Pair]],
    convention: MelConvention,
    device: torch.device,
    world: World,
) -> dict[str, list[ScoredPair]]:
    """Score the pairs of each system that are not stored yet."""
    n_pairs = sum(map(len, systems.values()))
    waveforms = any(pair.has_waveforms for pairs in systems.values() for pair in pairs)
    choices = {
        "perceptual": waveforms and _has_perceptual_metrics(),
        "opinion": options.opinion,
        "si_sdr": options.si_sdr,
    }
    scored: dict[str, list[ScoredPair]] = {}
    with contextlib.ExitStack() as stack:
        store = None
        if options.scores:
            settings = {
                "version": torchmelinv.__version__,
                "convention": convention.to_dict(),
                "layout": str(layout_from(options)),
                **choices,
            }
            store = stack.enter_context(ScoreStore(Path(options.scores), settings, world))
        label = "" if world.size == 1 else f"{world}: "
        progress = stack.enter_context(Progress(n_pairs, n_pairs, label, world.local_rank))
        for name, pairs in systems.items():
            found = {pair: store.find(pair) if store else None for pair in pairs}
            progress.add(n_found := sum(each is not None for each in found.values()), n_found, 0)
            new = evaluate(
                [pair for pair, each in found.items() if each is None],
                convention,
                device=device,
                progress=lambda seconds: progress.add(1, 1, seconds),
                save=store.add if store else None,
                **choices,
            )
            by_pair = {each.pair: each for each in new}
            scored[name] = [each or by_pair[pair] for pair, each in found.items()]
    return scored


def _has_perceptual_metrics() -> bool:
    """Return whether PESQ and ESTOI are installed; print a note if not."""
    try:
        for package in PACKAGES:
            require(package, "metrics")
    except DependencyError as error:
        print_message("note", f"without PESQ and ESTOI: {error}")
        return False
    return True


def _write(options: argparse.Namespace, comparison: Comparison) -> None:
    """Print the comparison and write it to the files that the options name.

    Files come last: the scores, which took long, are printed whatever happens.
    """
    figure_path = options.plot if comparison.metrics else None
    if options.json:
        info = {"reference": options.reference, "convention": options.convention}
        files = {"csv": options.csv, "html": options.html, "plot": figure_path}
        print_json({**info, **files, **comparison_to_dict(comparison)})
    elif comparison.metrics:
        terminal = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
        print("\n".join(format_comparison(comparison, terminal)))
    sys.stdout.flush()
    page = None
    with failures():
        if options.csv:
            write_comparison_csv(comparison, options.csv)
        if options.html:
            page = write_page(comparison, options.html)
        if figure_path:
            names = ", ".join(comparison.systems)
            title = f"{names} against {options.reference}, {options.convention}"
            figure = plot.distributions(_values_by_label(comparison), title=printable(title))
            plot.save(figure, figure_path)
    if written := [str(path) for path in (options.csv, page, figure_path) if path]:
        print_message("note", f"written: {', '.join(written)}")


def _values_by_label(comparison: Comparison) -> dict[str, list[float]]:
    """Return the values of each metric and system, with an arrow that points to better values."""
    several = len(comparison.systems) > 1
    return {
        metric.heading + (f", {printable(system)}" if several else ""): [
            item.scores.get(system, {}).get(metric.name, math.nan)
            for item in comparison.items
            if metric.name in item.scores.get(system, {})
        ]
        for metric in comparison.metrics
        for system in comparison.systems
    }


def _print_messages(scored: dict[str, list[ScoredPair]]) -> None:
    """Print absent files, notes, the most frequent first and each of them once, then errors."""
    several = len(scored) > 1
    names_by_note: dict[str, list[str]] = {}
    failed = []
    for system, rows in scored.items():
        prefix = f"{system}: " if several else ""
        for side in SIDES:
            _print_absent(prefix, side, [row.pair.name for row in rows if row.pair.lacks(side)])
        for row in rows:
            if row.error and not any(map(row.pair.lacks, SIDES)):
                failed.append(f"{prefix}{row.pair.name}: {row.error}")
            for note in row.notes:
                names_by_note.setdefault(note, []).append(f"{prefix}{row.pair.name}")
    notes = sorted(
        names_by_note.items(), key=lambda item: (item[0] != NOT_SYNCHRONOUS, -len(item[1]))
    )
    for note, names in notes[:_MAX_NOTES]:
        kind = "warning" if note == NOT_SYNCHRONOUS else "note"
        print_message(kind, f"{_shown(names)}: {note}")
    if len(notes) > _MAX_NOTES:
        print_message("note", f"{len(notes) - _MAX_NOTES} more notes; --json prints all")
    for message in failed[:_MAX_NOTES]:
        print_message("error", message)
    if len(failed) > _MAX_NOTES:
        print_message("error", f"{len(failed) - _MAX_NOTES} more errors; --json prints all")
    if failed:
        n_pairs = sum(map(len, scored.values()))
        print_message("error", f"{len(failed)} of {n_pairs} pairs could not be compared")


def _shown(names: Sequence[str]) -> str:
    return f"{len(names)} pairs" if len(names) > 1 else names[0]


def _print_absent(prefix: str, side: str, names: Sequence[str]) -> None:
    """Print one line about names that have no file of one side."""
    if not names:
        return
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    count = f"{len(names)} names have" if len(names) > 1 else "1 name has"
    print_message("warning", f"{prefix}{count} no {side} file and no scores: {shown}")
