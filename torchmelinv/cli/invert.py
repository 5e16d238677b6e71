"""`torchmelinv invert`: mel files to audio files, in one process or several."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import torchmelinv
from torchmelinv.cli.console import (
    EXIT_FAILED,
    EXIT_OK,
    print_json,
    print_message,
)
from torchmelinv.cli.from_options import (
    check_device,
    inverter_from,
    layout_from,
    level_from,
    mfcc_convention_from,
)
from torchmelinv.cli.progress import MANY, Progress
from torchmelinv.cli.report import Report, format_outcome
from torchmelinv.cli.streams import with_streams
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.file_inversion import invert_files, split_tasks
from torchmelinv.corpus.manifest import Manifest, inversion_settings
from torchmelinv.corpus.output_level import DEFAULT, OutputLevel
from torchmelinv.corpus.planning import plan
from torchmelinv.corpus.sharding import World, launched_world, local_device
from torchmelinv.corpus.sharing import share_tasks
from torchmelinv.errors import DiskError
from torchmelinv.io.audio_formats import audio_format

_MAX_WARNINGS = 5  # printed for a job with many files
_MAX_ERRORS = 20


@with_streams("input", read=".npy", write=".wav")
def run(options: argparse.Namespace) -> int:
    """Invert the files, print a report and return the exit code."""
    world = launched_world()
    inverter, mfcc = inverter_from(options), mfcc_convention_from(options)
    inverter.channels = True
    device = check_device(local_device(options.device, world))
    layout, level = layout_from(options), level_from(options, inverter.convention)
    all_tasks = plan(options.input, options.out, f".{options.format}", layout)
    if layout.picture and any(task.source.suffix.lower() == ".png" for task in all_tasks):
        level = level or DEFAULT
    _, subtype = audio_format(all_tasks[0].target, options.subtype)
    tasks, folder = share_tasks(all_tasks, world, channels=True), Path(options.out)
    report = Report(keep=options.json or len(tasks) < MANY)
    ended: KeyboardInterrupt | DiskError | None = None
    with contextlib.ExitStack() as stack:
        manifest = None
        if folder != all_tasks[0].target:
            settings = inversion_settings(
                inverter,
                version=torchmelinv.__version__,
                subtype=subtype,
                mfcc=mfcc.to_json() if mfcc else "",
                layout=str(layout),
                level=str(level),
            )
            manifest = stack.enter_context(Manifest(folder, settings, world))
            if world.rank == 0:
                _note_other_outputs(folder, manifest.other_outputs(all_tasks))
        n_rows = mfcc.n_mfcc if mfcc else inverter.convention.n_mels
        skipped, remaining = split_tasks(tasks, n_rows, manifest)
        for outcome in skipped:
            report.add(outcome)
        label = "" if world.size == 1 else f"{world}: "
        n_frames = sum(task.n_frames for task in remaining)
        progress = Progress(len(remaining), n_frames, label, world.local_rank)
        stack.enter_context(contextlib.closing(progress))
        outcomes = invert_files(
            remaining,
            inverter,
            device=device,
            batch=options.batch,
            mfcc=mfcc,
            subtype=subtype,
            manifest=manifest,
            level=level,
            taken={task.target for task in all_tasks},
        )
        try:
            for outcome in stack.enter_context(contextlib.closing(outcomes)):
                report.add(outcome)
                n_frames = outcome.n_channels * outcome.n_frames
                progress.add(1 / (outcome.count - outcome.others), n_frames, outcome.seconds)
                if outcome.error and options.strict:
                    break
        except (KeyboardInterrupt, DiskError) as error:
            ended = error
    report.sort([task.name for task in all_tasks])
    if report.n_written:
        _note_level(options, level, inverter.convention, world)
    _print_messages(report, world, len(tasks), ended is not None)
    if not isinstance(ended, KeyboardInterrupt):
        _print_results(report, options, world, len(tasks), ended is not None)
    if ended:
        if manifest:
            print_message(
                "note", f"{folder} keeps what is done; the same command goes on from there"
            )
        raise ended
    return EXIT_FAILED if report.failed and (options.strict or world.size == 1) else EXIT_OK


def _summary(report: Report, world: World, n_files: int) -> str:
    summary = report.summary(n_files)
    return summary if world.size == 1 else f"{world}: {summary}"


def _note_other_outputs(folder: Path, names: Sequence[str]) -> None:
    """Tell of audio files that an earlier run made of inputs that are gone."""
    if names:
        files = f"{len(names)} audio files" if len(names) > 1 else "1 audio file"
        print_message(
            "note",
            f"{files} of an earlier run in {folder}, such as {names[0]}, belong to no input of "
            "this job and stay as they are",
        )


def _note_level(
    options: argparse.Namespace,
    level: OutputLevel | None,
    convention: MelConvention,
    world: World,
) -> None:
    """Say at which level the audio was written if nobody asked for it."""
    if level and world.rank == 0 and options.peak is None and options.loudness is None:
        why = "the mels" if convention.level.reference_max else "pictures"
        print_message(
            "note",
            f"{why} hold no absolute level: the audio is written at {level}; --peak and --loudness "
            "choose another one",
        )


def _print_messages(report: Report, world: World, n_files: int, ended: bool) -> None:
    """Print warnings and errors."""
    n_shown = len(report.with_warnings) if n_files < MANY else _MAX_WARNINGS
    for outcome in report.with_warnings[:n_shown]:
        for warning in outcome.warnings:
            print_message("warning", f"{outcome.input}: {warning}")
    n_hidden = len(report.with_warnings) - n_shown
    if n_hidden > 0:
        print_message("warning", f"{n_hidden} more mels have warnings; the manifest has all")
    for outcome in report.failed[:_MAX_ERRORS]:
        print_message("error", f"{outcome.input}: {outcome.error}")
    if (n_hidden := len(report.failed) - _MAX_ERRORS) > 0:
        print_message("error", f"{n_hidden} more mels failed; --json prints all")
    if (report.failed or ended) and n_files > 1:
        print_message("error", _summary(report, world, n_files))


def _print_results(
    report: Report, options: argparse.Namespace, world: World, n_files: int, ended: bool
) -> None:
    if options.json:
        info = {"convention": options.convention, "rank": world.rank, "world_size": world.size}
        print_json(report.to_dict(**info))
        return
    for outcome in report.outcomes:
        if not outcome.error and not outcome.skipped:
            print(format_outcome(outcome))
    if not report.failed and not ended and n_files > 1:
        print(_summary(report, world, n_files))
