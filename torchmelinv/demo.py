"""`python -m torchmelinv.demo [AUDIO]`: a round trip on a recording or on a synthetic voice."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torchmelinv.cli.console import EXIT_OK, handle_errors, print_message
from torchmelinv.cli.roundtrip import check_outputs, format_roundtrip, save_outputs
from torchmelinv.corpus.loading import load_waveform
from torchmelinv.corpus.roundtrip import measure_roundtrip
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import write_audio
from torchmelinv.synthetic_voice import signal

__all__ = ["main", "signal"]

CONVENTION = "hifigan_22k"


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.out)
    reference, result = folder / "reference.wav", folder / "inverted.wav"
    figure = folder / "mels.png"
    check_outputs(result, figure)
    inverter = MelInverter(CONVENTION)
    convention = inverter.convention
    if options.audio is None:
        name, waveform = "synthetic voice", signal(sample_rate=convention.sample_rate)
    else:
        waveform, notes = load_waveform(options.audio, convention)
        name = Path(options.audio).name
        for note in notes:
            print_message("note", note)
    roundtrip = measure_roundtrip(waveform, inverter)
    write_audio(reference, waveform, convention.sample_rate)
    written = save_outputs(roundtrip, result, figure, title=f"{name}, {CONVENTION}")
    print(f"{name}: to a mel of {convention.n_mels} bands ({CONVENTION}) and back")
    print("\n".join(format_roundtrip(roundtrip, written, result, figure)))
    print(f"{'reference':<22}{reference}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo.

    Args:
        argv: Arguments. Default: those of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m torchmelinv.demo", description="A recording to its mel and back to audio."
    )
    parser.add_argument(
        "audio",
        nargs="?",
        metavar="AUDIO",
        help="any audio file (default: a synthetic voice)",
    )
    parser.add_argument(
        "--out",
        default="demo_output",
        metavar="DIR",
        help="folder for the results (default: demo_output)",
    )
    options = parser.parse_args(argv)
    return handle_errors(lambda: _run(options))


if __name__ == "__main__":
    sys.exit(main())
