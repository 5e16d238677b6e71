"""`torchmelinv invert`: mel files to audio files, few or many, alone or in several processes."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

import torchmelinv
from torchmelinv.commands.options import add_json, add_method, add_subtype, inverter, mfcc_convention
from torchmelinv.files import AUDIO_FORMATS, audio_format
from torchmelinv.jobs.console import DONE, SOME_FAILED, print_json, say, usable_device
from torchmelinv.jobs.invert_files import divide, invert_files
from torchmelinv.jobs.manifest import Manifest, settings
from torchmelinv.jobs.plan import plan
from torchmelinv.jobs.progress import MANY, Progress
from torchmelinv.jobs.report import Report, outcome_line
from torchmelinv.jobs.shard import World, launched_world, own_device, shard

_SHOWN = 5  # warnings, where files are many


def _batch(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


_ABOUT = """Turn mel files into audio files. In an output folder, manifest-*.jsonl says what is done, with checksums: the same
command again goes on where an earlier one stopped or was killed, and makes again what has changed. `torchrun --nproc-per-node
N -m torchmelinv invert …` shares the files among N processes, each on its own GPU with --device cuda; as a launcher ends all
processes when one fails, broken files then make no exit code without --strict."""


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    parser = commands.add_parser("invert", help="mel files to audio files", description=_ABOUT)
    parser.add_argument("input", nargs="+", metavar="INPUT", help="npy, npz, pt or safetensors files, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="a wav or flac file for a single input, else a folder")
    add_method(parser)
    parser.add_argument("--mfcc", action="store_true",
                        help="the files hold MFCCs, and --convention is the JSON of an MfccConvention, which names their mel")
    add_subtype(parser)
    add_json(parser)
    parser.add_argument("--batch", type=_batch, metavar="N",
                        help="most mels inverted together (default: on an accelerator 64, as memory allows; on the CPU 1)")
    parser.add_argument("--strict", action="store_true", help="let the first broken file end the job, with exit code 1")
    parser.add_argument("--format", choices=[suffix[1:] for suffix in AUDIO_FORMATS], default="wav",
                        help="of the files in an output folder (default: wav)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Invert and report; the exit code."""
    world = launched_world()
    chosen, mfcc, device = inverter(options), mfcc_convention(options), usable_device(own_device(options.device, world))
    tasks = plan(options.input, options.out, f".{options.format}")
    _, subtype = audio_format(tasks[0].target, options.subtype)
    mine, folder = shard(tasks, world), Path(options.out)
    report = Report(keep=options.json or len(mine) < MANY)
    with contextlib.ExitStack() as stack:
        manifest = None
        if folder != tasks[0].target:
            decided = settings(chosen, version=torchmelinv.__version__, subtype=subtype, mfcc=mfcc.to_json() if mfcc else "")
            manifest = stack.enter_context(Manifest(folder, decided, world))
        before, left = divide(mine, mfcc.n_mfcc if mfcc else chosen.convention.n_mels, manifest)
        for outcome in before:
            report.add(outcome)
        label, frames = "" if world.size == 1 else f"{world}: ", sum(task.frames for task in left)
        progress = stack.enter_context(contextlib.closing(Progress(len(left), frames, label, world.local_rank)))
        done = invert_files(left, chosen, device=device, batch=options.batch, mfcc=mfcc, subtype=subtype, manifest=manifest,
                            taken={task.target for task in tasks})
        for outcome in stack.enter_context(contextlib.closing(done)):
            report.add(outcome)
            progress.add(1 / outcome.count, outcome.frames, outcome.seconds)
            if outcome.error and options.strict:
                break
    report.sort([str(task.source) for task in tasks])
    _print(report, options, world, len(mine))
    return SOME_FAILED if report.broken and (options.strict or world.size == 1) else DONE


def _print(report: Report, options: argparse.Namespace, world: World, files: int) -> None:
    shown = report.doubted if files < MANY else report.doubted[:_SHOWN]
    for outcome in shown:
        for warning in outcome.warnings:
            say("warning", f"{outcome.input}: {warning}")
    if len(shown) < len(report.doubted):
        say("warning", f"{len(report.doubted) - len(shown)} more mels have warnings, all of them in the manifest")
    for outcome in report.broken:
        say("error", f"{outcome.input}: {outcome.error}")
    whole = report.summary(files) if world.size == 1 else f"{world}: {report.summary(files)}"
    if report.broken and files > 1:
        say("error", whole)
    if options.json:
        print_json(report.as_json(convention=options.convention, rank=world.rank, world_size=world.size))
        return
    for outcome in report.outcomes:
        if not outcome.error and not outcome.before:
            print(outcome_line(outcome))
    if not report.broken and files > 1:
        print(whole)
