"""`torchmelinv roundtrip`: audio to mel and back, with figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torchmelinv.commands.options import add_json, add_method, add_subtype, inverter
from torchmelinv.jobs import roundtrip
from torchmelinv.jobs.console import DONE, print_json, printable, say, usable_device


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    parser = commands.add_parser("roundtrip", help="audio to mel and back, with figures",
                                 description="Analyse a recording, invert its mel, and report how close the result came.")
    parser.add_argument("audio", metavar="AUDIO", help="any audio file; resampled to the convention's rate, mixed to one channel")
    parser.add_argument("-o", "--out", metavar="OUT", help="write the result there, wav or flac")
    parser.add_argument("--plot", metavar="PICTURE", help="draw both mels and their difference there, png, pdf or svg")
    add_method(parser)
    add_subtype(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it and report; the exit code."""
    roundtrip.check_outputs(options.out, options.plot, options.subtype)
    chosen, device = inverter(options), usable_device(options.device)
    waveform, notes = roundtrip.load(options.audio, chosen.convention)
    trip = roundtrip.roundtrip(waveform, chosen, device)
    written = roundtrip.save(trip, options.out, options.plot, subtype=options.subtype,
                             title=printable(f"{Path(options.audio).name}, {options.convention}"))
    for note in notes:
        say("note", note)
    if options.json:
        print_json(roundtrip.report(trip, written, input=options.audio, output=options.out, plot=options.plot,
                                    convention=options.convention, notes=notes))
    else:
        print("\n".join(roundtrip.lines(trip, written, options.out, options.plot)))
    return DONE
