"""`torchmelinv evaluate`: how close generated sounds come to their references."""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torchmelinv import plot
from torchmelinv.commands.options import add_convention, add_device, add_json, convention
from torchmelinv.errors import DependencyError
from torchmelinv.files import require
from torchmelinv.jobs.console import DONE, SOME_FAILED, print_json, printable, say, usable_device
from torchmelinv.jobs.describe import WIDTH, table
from torchmelinv.jobs.evaluate import Scored, evaluate, means
from torchmelinv.jobs.pairs import pair_up
from torchmelinv.jobs.progress import Progress
from torchmelinv.measure.perceptual import PACKAGES
from torchmelinv.measure.scores import INTERVAL, METRICS, Mean

_NOTES = 20  # more are told by --json alone


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    about = ("Compare generated sounds with their references. Files are paired by their relative path without suffix. Two "
             "waveforms have all metrics; of two mels, or a mel and a waveform, the mels are compared. PESQ and ESTOI come with "
             "the extra 'metrics'.")
    parser = commands.add_parser("evaluate", help="generated sounds against references", description=about)
    parser.add_argument("--reference", required=True, metavar="DIR", help="folder of audio or mel files, or one file")
    parser.add_argument("--generated", required=True, metavar="DIR", help="the same, to be judged")
    add_convention(parser)
    add_device(parser)
    parser.add_argument("--plot", metavar="PICTURE", help="draw how each metric is distributed there, png, pdf or svg")
    add_json(parser)
    parser.set_defaults(run=run)


def _perceptual() -> bool:
    """Whether PESQ and ESTOI can be had; a note where not."""
    try:
        for package in PACKAGES:
            require(package, "metrics")
    except DependencyError as error:
        say("note", f"without PESQ and ESTOI: {error}")
        return False
    return True


def _worst(name: str, scored: Iterable[Scored]) -> tuple[float, str]:
    finite = [(each.scores[name], each.pair.name) for each in scored if math.isfinite(each.scores.get(name, math.nan))]
    return min(finite) if METRICS[name].higher_is_better else max(finite)


def table_lines(found: Mapping[str, Mean], scored: Sequence[Scored], width: int) -> list[str]:
    """A row for each metric; what does not fit `width` columns is left out from the right."""
    rows = [["", "better", "mean", "95 % interval", "pairs", "median", "worst", ""]]
    for name, mean in found.items():
        metric = METRICS[name]
        number = f"{{:.{metric.digits}f}}".format
        if mean.n == 0:
            rows.append([metric.label, "", "not defined", "", "0", "", "", ""])
            continue
        worst, item = _worst(name, scored)
        interval = f"{number(mean.low)} … {number(mean.high)}" if mean.n > 1 else "–"
        better = "higher" if metric.higher_is_better else "lower"
        rows.append([metric.label, better, number(mean.mean), interval, str(mean.n), number(mean.median), number(worst),
                     printable(item)])
    for columns in (8, 7, 6, 5, 4, 3):
        lines = table((row[:columns] for row in rows), right=range(2, 7))
        if max(map(len, lines)) <= width:
            break
    return lines


def report(scored: Sequence[Scored], found: Mapping[str, Mean], **facts: Any) -> dict[str, Any]:
    """Everything, ready for JSON; `facts` are paths and options."""
    pairs = [
        {"name": each.pair.name, "generated": each.pair.generated, "reference": each.pair.reference, "scores": each.scores,
         "notes": each.notes, "error": each.error}
        for each in scored
    ]
    failed = sum(1 for each in scored if each.error)
    metrics = {name: {**mean._asdict(), "higher_is_better": METRICS[name].higher_is_better} for name, mean in found.items()}
    return {**facts, "interval": INTERVAL, "metrics": metrics, "pairs": pairs, "scored": len(scored) - failed, "failed": failed}


def _tell(scored: Sequence[Scored]) -> None:
    """Notes, the same of many pairs as one line and first, then what failed."""
    owners: dict[str, list[str]] = {}
    for each in scored:
        for note in each.notes:
            owners.setdefault(note, []).append(each.pair.name)
    for note, names in sorted(owners.items(), key=lambda entry: -len(entry[1]))[:_NOTES]:
        whose = f"{len(names)} pairs" if len(names) > 1 else names[0]
        say("note", f"{whose}: {note}")
    if len(owners) > _NOTES:
        say("note", f"and {len(owners) - _NOTES} more notes, which --json has")
    failed = [each for each in scored if each.error]
    for each in failed:
        say("error", f"{each.pair.name}: {each.error}")
    if failed:
        say("error", f"{len(failed)} of {len(scored)} pairs could not be compared")


def run(options: argparse.Namespace) -> int:
    """Score and report; the exit code."""
    if options.plot:
        plot.check_picture(options.plot)
    chosen, device = convention(options), usable_device(options.device)
    pairs = pair_up(options.generated, options.reference)
    perceptual = any(pair.waveforms for pair in pairs) and _perceptual()
    with contextlib.closing(Progress(len(pairs), len(pairs))) as progress:
        scored = evaluate(pairs, chosen, device=device, perceptual=perceptual, progress=lambda audio: progress.add(1, 1, audio))
    found = means(scored)
    drawn = options.plot if found else None
    if drawn:
        title = f"{options.generated} against {options.reference}, {options.convention}"
        values = {f"{METRICS[name].label} {'↑' if METRICS[name].higher_is_better else '↓'}":
                  [each.scores[name] for each in scored if name in each.scores] for name in found}
        plot.save(plot.distributions(values, title=printable(title)), drawn)
    _tell(scored)
    if options.json:
        print_json(report(scored, found, generated=options.generated, reference=options.reference, convention=options.convention,
                          plot=drawn))
    elif found:
        terminal = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
        print("\n".join(table_lines(found, scored, terminal)))
    return SOME_FAILED if any(each.error for each in scored) else DONE
