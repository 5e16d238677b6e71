"""The command line: it parses, calls a job, and prints what came back.

Exit codes: 0 done, 1 some items failed, 2 a mistake in what was asked for, 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import torchmelinv
from torchmelinv import inspection
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.files import AUDIO_FORMATS, SUBTYPES, audio_format, read_mel, require
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.jobs import describe, roundtrip
from torchmelinv.jobs.console import DONE, PROGRAM, SOME_FAILED, decibels, guarded, print_json, say, usable_device
from torchmelinv.jobs.invert_files import Outcome, invert_files, plan
from torchmelinv.phase.start import STARTS
from torchmelinv.presets import as_convention, preset, preset_names

_MANY = 32  # files from which on progress is shown to a log, too


def _convention(options: argparse.Namespace) -> MelConvention:
    if options.model_space and options.convention.lower().endswith(".json"):
        raise InputError("--model-space goes with a preset's name; a file says all there is to say")
    if options.model_space:
        return preset(options.convention, model_space=True)
    return as_convention(options.convention)


def _inverter(options: argparse.Namespace) -> MelInverter:
    chosen = {name: getattr(options, name) for name in ("magnitude", "phase", "n_iter", "start", "seed")}
    return MelInverter(_convention(options), **{name: value for name, value in chosen.items() if value is not None})


def _method_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--convention", required=True, metavar="NAME|FILE.json",
                        help="the mel's convention: a preset (`torchmelinv presets`), its JSON, or a HiFi-GAN style config.json")
    parser.add_argument("--model-space", action="store_true",
                        help="the mel is normalised further, as the preset's acoustic model sees it")
    parser.add_argument("--magnitude", choices=sorted(MAGNITUDES), help="how the filterbank is undone (default: entropic)")
    parser.add_argument("--phase", choices=sorted(PHASES), help="how the phase is found (default: mel_consistent)")
    parser.add_argument("--n-iter", type=int, metavar="N", help="iterations of the phase method (default: 32)")
    parser.add_argument("--start", choices=STARTS, help="where the phase begins (default: pghi, read off the magnitude)")
    parser.add_argument("--seed", type=int, metavar="N", help="of random phases (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")
    parser.add_argument("--subtype", choices=SUBTYPES, help="sample format of the audio (default: PCM_16)")
    parser.add_argument("--json", action="store_true", help="report as JSON on stdout")


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


def _invert(options: argparse.Namespace) -> int:
    inverter, device = _inverter(options), usable_device(options.device)
    tasks = plan(options.input, options.out, f".{options.format}")
    audio_format(tasks[0].target, options.subtype)
    advance, close = _bar(len(tasks))
    try:
        outcomes = invert_files(tasks, inverter, device=device, batch=options.batch, subtype=options.subtype, progress=advance)
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


def _roundtrip(options: argparse.Namespace) -> int:
    roundtrip.check_outputs(options.out, options.plot, options.subtype)
    inverter, device = _inverter(options), usable_device(options.device)
    waveform, notes = roundtrip.load(options.audio, inverter.convention)
    trip = roundtrip.roundtrip(waveform, inverter, device)
    written = roundtrip.save(trip, options.out, options.plot, title=f"{Path(options.audio).name}, {options.convention}",
                             subtype=options.subtype)
    for note in notes:
        say("note", note)
    if options.json:
        print_json(roundtrip.report(trip, written, input=options.audio, output=options.out, plot=options.plot,
                                    convention=options.convention, notes=notes))
    else:
        print("\n".join(roundtrip.lines(trip, written, options.out, options.plot)))
    return DONE


def _presets(options: argparse.Namespace) -> int:
    if options.name is None and options.json:
        print_json([describe.preset_facts(name) for name in preset_names()])
    elif options.name is None:
        print("\n".join(describe.preset_lines()))
    elif options.json:  # the convention alone, so that `presets NAME --json > my.json` makes a file for --convention
        facts = describe.preset_facts(options.name)
        say("note", "; ".join(filter(None, (facts["source"], facts["note"]))))
        print_json(facts["convention"])
    else:
        print("\n".join(describe.convention_lines(options.name)))
    return DONE


def _inspect(options: argparse.Namespace) -> int:
    found = inspection.inspect(read_mel(options.mel))
    if options.json:
        print_json({"input": options.mel, **describe.inspection_facts(found)})
    else:
        print("\n".join(describe.inspection_lines(found)))
    return DONE


def _batch(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Everything that can be asked for."""
    codes = "exit codes: 0 done, 1 some files failed, 2 a mistake in what was asked for, 130 interrupted"
    top = argparse.ArgumentParser(prog=PROGRAM, description="Mel spectrograms back into audio, without a vocoder.", epilog=codes)
    top.add_argument("--version", action="version", version=f"{PROGRAM} {torchmelinv.__version__}, torch {torch.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    invert = commands.add_parser("invert", help="mel files to audio files", description="Turn mel files into audio files.")
    invert.add_argument("input", nargs="+", metavar="INPUT", help="npy, npz, pt or safetensors files, or folders of them")
    invert.add_argument("-o", "--out", required=True, metavar="OUT", help="a wav or flac file for a single input, else a folder")
    _method_options(invert)
    invert.add_argument("--batch", type=_batch, metavar="N", help="mels inverted together (default: by their length, at most 8)")
    invert.add_argument("--format", choices=[suffix[1:] for suffix in AUDIO_FORMATS], default="wav",
                        help="of the files in an output folder (default: wav)")
    invert.set_defaults(run=_invert)

    trip = commands.add_parser("roundtrip", help="audio to mel and back, with figures",
                               description="Analyse a recording, invert its mel, and report how close the result came.")
    trip.add_argument("audio", metavar="AUDIO", help="any audio file; resampled to the convention's rate, mixed to one channel")
    trip.add_argument("-o", "--out", metavar="OUT", help="write the result there, wav or flac")
    trip.add_argument("--plot", metavar="PICTURE", help="draw both mels and their difference there, png, pdf or svg")
    _method_options(trip)
    trip.set_defaults(run=_roundtrip)

    names = commands.add_parser("presets", help="the conventions that have a name",
                                description="List the presets, or show one: with --json as a file for --convention.")
    names.add_argument("name", nargs="?", metavar="NAME")
    names.add_argument("--json", action="store_true", help="as JSON on stdout")
    names.set_defaults(run=_presets)

    look = commands.add_parser("inspect", help="what is this mel?",
                               description="Say what a mel file looks like: shape, logarithm, floor, presets that fit and why.")
    look.add_argument("mel", metavar="MEL", help="an npy, npz, pt or safetensors file")
    look.add_argument("--json", action="store_true", help="as JSON on stdout")
    look.set_defaults(run=_inspect)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` where none is given; the exit code."""
    options = parser().parse_args(argv)
    return guarded(lambda: options.run(options))
