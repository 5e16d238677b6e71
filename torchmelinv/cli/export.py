"""`torchmelinv export`: the inversion or the analysis as an ONNX file."""

from __future__ import annotations

import argparse

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli.console import EXIT_OK, failures, print_json, print_message
from torchmelinv.cli.from_options import (
    INVERTER_OPTIONS,
    convention_from,
    inverter_from,
)
from torchmelinv.errors import InputError
from torchmelinv.export import export_onnx
from torchmelinv.io.disk_errors import check_writable


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
