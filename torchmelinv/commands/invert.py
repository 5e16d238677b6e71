"""`torchmelinv invert`: mel files to audio files."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from torchmelinv.commands.options import add_json, add_method, add_subtype, inverter
from torchmelinv.files import AUDIO_FORMATS, audio_format, require
from torchmelinv.jobs.console import DONE, SOME_FAILED, decibels, print_json, say, usable_device
from torchmelinv.jobs.invert_files import Outcome, invert_files, plan

_MANY = 32  # files from which on progress is shown to a log, too


def _batch(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    parser = commands.add_parser("invert", help="mel files to audio files", description="Turn mel files into audio files.")
    parser.add_argument("input", nargs="+", metavar="INPUT", help="npy, npz, pt or safetensors files, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="a wav or flac file for a single input, else a folder")
    add_method(parser)
    add_subtype(parser)
    add_json(parser)
    parser.add_argument("--batch", type=_batch, metavar="N", help="mels inverted together (default: by their length, at most 8)")
    parser.add_argument("--format", choices=[suffix[1:] for suffix in AUDIO_FORMATS], default="wav",
                        help="of the files in an output folder (default: wav)")
    parser.set_defaults(run=run)


def _bar(total: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Functions that advance and close a progress bar on stderr; it shows on a terminal, and in a log where files are many."""
    terminal = sys.stderr.isatty()
    if total < 2 or not (terminal or total >= _MANY):
        return (lambda: None), (lambda: None)
    bar = require("tqdm").tqdm(total=total, unit="file", file=sys.stderr, mininterval=0.1 if terminal else 10.0)
    return bar.update, bar.close


def _outcome_line(outcome: Outcome) -> str:
    words = [f"{outcome.input} -> {outcome.output}", f"{outcome.seconds:.2f} s", f"mel error {decibels(outcome.mel_error_db)}"]
    if outcome.gain_db < 0:
        words.append(f"scaled by {outcome.gain_db:.1f} dB, its peak was {outcome.peak:.2f}")
    return ", ".join(words)


def run(options: argparse.Namespace) -> int:
    """Invert and report; the exit code."""
    chosen, device = inverter(options), usable_device(options.device)
    tasks = plan(options.input, options.out, f".{options.format}")
    audio_format(tasks[0].target, options.subtype)
    advance, close = _bar(len(tasks))
    try:
        outcomes = invert_files(tasks, chosen, device=device, batch=options.batch, subtype=options.subtype, progress=advance)
    finally:
        close()
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in outcomes:
        for warning in outcome.warnings:
            say("warning", f"{outcome.input}: {warning}")
        if not outcome.error and not options.json:
            print(_outcome_line(outcome))
    for outcome in failed:
        say("error", f"{outcome.input}: {outcome.error}")
    broken = len({outcome.input for outcome in failed})
    if broken and len(tasks) > 1:
        say("error", f"{broken} of {len(tasks)} files failed, the others are done")
    if options.json:
        print_json({"convention": options.convention, "files": [dataclasses.asdict(outcome) for outcome in outcomes],
                    "done": len(tasks) - broken, "failed": broken})
    return SOME_FAILED if failed else DONE
