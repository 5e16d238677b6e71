"""`torchmelinv roundtrip`: a recording to its mel and back, with distances."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from torchmelinv import plot
from torchmelinv._utils.text import decibels, printable
from torchmelinv.cli.console import (
    EXIT_OK,
    failures,
    print_json,
    print_message,
)
from torchmelinv.cli.from_options import (
    check_device,
    inverter_from,
    level_from,
)
from torchmelinv.cli.streams import with_streams
from torchmelinv.corpus.loading import load_waveform
from torchmelinv.corpus.output_level import OutputLevel
from torchmelinv.corpus.roundtrip import Roundtrip, measure_roundtrip
from torchmelinv.io.audio import WriteResult, write_audio
from torchmelinv.io.audio_formats import audio_format
from torchmelinv.io.disk_errors import check_writable
from torchmelinv.io.paths import existing_file


@with_streams("audio", read=".wav", write=".wav")
def run(options: argparse.Namespace) -> int:
    """Make the round trip, print a report and return the exit code."""
    check_outputs(options.out, options.plot, options.subtype)
    inverter, device = inverter_from(options), check_device(options.device)
    path = existing_file(options.audio)
    with failures():
        check_paths(options.out, options.plot)
        waveform, notes = load_waveform(path, inverter.convention)
    roundtrip = measure_roundtrip(waveform, inverter, device)
    title = printable(f"{Path(options.audio).name}, {options.convention}")
    with failures():
        written = save_outputs(
            roundtrip,
            options.out,
            options.plot,
            subtype=options.subtype,
            title=title,
            level=level_from(options, None),
        )
    for note in notes:
        print_message("note", note)
    if options.json:
        report = roundtrip_report(
            roundtrip,
            written,
            input=options.audio,
            output=options.out,
            plot=options.plot,
            convention=options.convention,
            notes=notes,
        )
        print_json(report)
    else:
        print("\n".join(format_roundtrip(roundtrip, written, options.out, options.plot)))
    return EXIT_OK


def check_outputs(
    output: str | Path | None, figure: str | Path | None, subtype: str | None = None
) -> None:
    """Refuse, before any work, outputs that cannot be written."""
    if output is not None:
        audio_format(output, subtype)
    if figure is not None:
        plot.check_figure(figure)


def check_paths(*paths: str | Path | None) -> None:
    """Refuse, before any work, paths where nothing can be written."""
    for path in paths:
        if path is not None:
            check_writable(path)


def save_outputs(
    roundtrip: Roundtrip,
    output: str | Path | None,
    figure: str | Path | None,
    *,
    title: str,
    subtype: str | None = None,
    level: OutputLevel | None = None,
) -> WriteResult | None:
    """Write the waveform, at a level if there is one, and the figure, each if a path is given.

    The figure shows the mean of the channels' linear mels.
    """
    convention, written = roundtrip.convention, None
    if output is not None:
        waveform = roundtrip.result
        gain = level.gain(waveform, convention.sample_rate) if level else 1.0
        written = write_audio(output, gain * waveform, convention.sample_rate, subtype)
        written = WriteResult(written.peak / gain, written.gain_db + 20 * math.log10(gain))
    if figure is not None:
        original, result = (
            mel.reshape(-1, *mel.shape[-2:]).mean(0)
            for mel in (roundtrip.original_mel, roundtrip.result_mel)
        )
        plot.save(plot.compare_mels(original, result, convention, title=title), figure)
    return written


def roundtrip_report(
    roundtrip: Roundtrip, written: WriteResult | None = None, **info: Any
) -> dict[str, Any]:
    """Return everything for JSON; `info` holds paths, options and notes."""
    return {
        **info,
        "sample_rate": roundtrip.convention.sample_rate,
        "n_channels": math.prod(roundtrip.original.shape[:-1]),
        "n_samples": roundtrip.original.shape[-1],
        "n_frames": roundtrip.original_mel.shape[-1],
        "mel_error_db": roundtrip.mel_error_db,
        "spectral_convergence_db": roundtrip.spectral_convergence_db,
        "duration": roundtrip.duration,
        "seconds": roundtrip.seconds,
        "level_gain_db": roundtrip.gain_db,
        "real_time_factor": roundtrip.real_time_factor,
        **(written._asdict() if written else {}),
    }


def format_roundtrip(
    roundtrip: Roundtrip,
    written: WriteResult | None,
    output: str | Path | None,
    figure: str | Path | None,
) -> list[str]:
    """Return the report as lines."""
    time = (
        f"{roundtrip.seconds:.2f} s for {roundtrip.duration:.2f} s of audio, "
        f"{1 / roundtrip.real_time_factor:.1f} times faster than real time"
    )
    fields = [
        ("mel error", decibels(roundtrip.mel_error_db)),
        ("spectral convergence", decibels(roundtrip.spectral_convergence_db)),
        ("time", time),
        ("result", printable(str(output or ""))),
        ("figure", printable(str(figure or ""))),
    ]
    if roundtrip.gain_db:
        aligned = f"aligned to the recording by {roundtrip.gain_db:+.1f} dB; the mel holds none"
        fields.insert(0, ("level", aligned))
    if written and written.gain_db:
        scaling = f"{written.gain_db:+.1f} dB, its peak was {written.peak:.2f}"
        fields.append(("scaled by", scaling))
    return [f"{heading:<22}{text}" for heading, text in fields if text]
