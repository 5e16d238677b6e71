"""`torchmelinv export`: the inversion or the analysis as an ONNX file."""

from __future__ import annotations

import argparse
from typing import Any

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli.console import EXIT_OK, failures, print_json, print_message
from torchmelinv.cli.options import (
    INVERTER_OPTIONS,
    add_inverter_options,
    add_json_option,
    convention_from,
    inverter_from,
)
from torchmelinv.errors import InputError
from torchmelinv.export import export_onnx
from torchmelinv.io.disk_errors import check_writable

_DESCRIPTION = """Write the inversion, mel (batch, n_mels, n_frames) to waveform (batch,
n_samples), as an ONNX file for runtimes without Python and torch; batch and length are free. Its
metadata name the convention and the options. ONNX Runtime then runs it, and the difference from
the form that devices run in torch is printed. Takes some minutes. Needs
`pip install 'torchmelinv[export]'`."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export", help="write the inversion as an ONNX file", description=_DESCRIPTION
    )
    parser.add_argument("out", metavar="OUT.onnx", help="the file to write")
    parser.add_argument(
        "--analysis",
        action="store_true",
        help="write the opposite direction, waveform (batch, n_samples) to mel, instead",
    )
    add_inverter_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the file, print its size and its error, and return the exit code."""
    if not options.out.endswith(".onnx"):
        raise InputError(f"OUT is {options.out!r}; it must end with .onnx")
    if options.device != "cpu":
        raise InputError("export runs on the CPU; the file runs on any device of its runtime")
    given = [name for name in INVERTER_OPTIONS if getattr(options, name) is not None]
    if options.analysis and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"--analysis has no inversion, but {flags} is given; leave it out")
    with failures():
        check_writable(options.out)
    module = (
        MelSpectrogram(convention_from(options)) if options.analysis else inverter_from(options)
    )
    with failures():
        report = export_onnx(module, options.out)
    if options.json:
        print_json(report._asdict())
    else:
        print_message(
            "note",
            f"{report.path}: {report.n_bytes / 1e6:.1f} MB; ONNX Runtime differs from torch by "
            f"{report.error:.1e} of the peak",
        )
    return EXIT_OK
