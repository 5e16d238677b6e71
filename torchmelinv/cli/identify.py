"""`torchmelinv identify`: find the convention of a mel."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from collections.abc import Iterable
from typing import Any

from torchmelinv.cli.console import EXIT_OK, failures, print_json
from torchmelinv.cli.describe import WIDTH, describe_compression, format_fields
from torchmelinv.cli.from_options import layout_from
from torchmelinv.cli.streams import with_streams
from torchmelinv.identification import Candidate, Identification
from torchmelinv.identification.identify import identify
from torchmelinv.identification.scoring import FITS, IMPOSSIBLE, POSSIBLE, UNLIKELY
from torchmelinv.io.mels import read_mel
from torchmelinv.io.paths import existing_file

_LOGARITHMS = {
    "ln": "natural logarithm (ln)",
    "log10": "logarithm to base 10 (log10)",
    "dB": "decibels",
}


_RATE = (
    "values show neither the sampling rate nor the hop: choose the preset whose rate is that of "
    "the recordings, or give --sample-rate and --hop-length to `invert`"
)


@with_streams("mel", read=".npy", write="")
def run(options: argparse.Namespace) -> int:
    """Identify the mel and return the exit code."""
    path = existing_file(options.mel)
    with failures():
        mel = read_mel(path, layout_from(options))
    identification = identify(mel)
    if options.json:
        print_json({"input": options.mel, **identification_report(identification)})
    else:
        print("\n".join(format_identification(identification)))
    return EXIT_OK


def _describe_shape(result: Identification) -> str:
    shape = f"{result.shape} {result.dtype}: {result.n_mels} bands, {result.n_frames} frames"
    if result.transposed:
        return f"{shape} – transposed: frames first; give --frames-first to the other commands"
    if result.perhaps_transposed:
        other = f"{result.n_frames} bands and {result.n_mels} frames"
        return f"{shape} – or {other}: if so, transpose it and try again"
    return shape


def _describe_smoothness(strength: float) -> str:
    if strength == 0:
        return "0: no smoothing found"
    return (
        f"{strength:.2f} of 1: smoother than the mels of sounds, as a network predicts them; "
        "`invert` sharpens it, unless --restore none"
    )


def _fields(result: Identification) -> list[tuple[str, str]]:
    """Return (heading, text) pairs about the mel itself."""
    fields = [("shape", _describe_shape(result))]
    if result.n_not_finite:
        places = "1 place" if result.n_not_finite == 1 else f"{result.n_not_finite} places"
        broken = f"NaN or Inf in {places}; those frames are ignored"
        fields.append(("broken", broken))
    values = (
        f"{result.minimum:.6g} … {result.maximum:.6g}, mean {result.mean:.4g}, "
        f"standard deviation {result.deviation:.4g}"
    )
    logarithm = _LOGARITHMS.get(result.log, result.log)
    floor = f", floor {result.floor:g}" if result.floor else ""
    fields += [("values", values), ("level", f"{logarithm}{floor}: {result.reason}")]
    if result.smoothness is not None:
        fields.append(("smoothness", _describe_smoothness(result.smoothness)))
    if abs(result.mean) < 0.1 and abs(result.deviation - 1) < 0.1:
        normalized = (
            "mean 0 and standard deviation 1: it may be normalized by statistics that only its "
            "maker has"
        )
        fields.append(("", normalized))
    return fields


def _format_candidates(candidates: Iterable[Candidate]) -> list[str]:
    """Return candidates as lines; those with the same compression and reason share a line."""
    groups: dict[tuple[str, str], dict[float, list[str]]] = {}
    for candidate in candidates:
        key = describe_compression(candidate.convention), candidate.reason
        rate = candidate.convention.sample_rate
        groups.setdefault(key, {}).setdefault(rate, []).append(candidate.title)
    lines = []
    for (level, reason), by_rate in groups.items():
        names = "; ".join(f"{rate:g} Hz: {', '.join(by_rate[rate])}" for rate in sorted(by_rate))
        for text, indent in ((names, "  "), (f"{level}: {reason}", "    ")):
            lines += textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines


def _same_bands(result: Identification) -> list[Candidate]:
    return [each for each in result.candidates if each.convention.n_mels == result.n_mels]


def format_identification(result: Identification) -> list[str]:
    """Return lines about the mel, the presets that fit, and why the others do not."""
    best = list(result.best)
    others = [each for each in _same_bands(result) if each not in best]
    groups = {
        "fits best" if best and best[0].verdict == FITS else "most likely": best,
        "less likely": [each for each in others if each.verdict in (FITS, POSSIBLE)],
        UNLIKELY: [each for each in others if each.verdict == UNLIKELY],
        IMPOSSIBLE: [each for each in others if each.verdict == IMPOSSIBLE],
    }
    lines = format_fields(_fields(result))
    for heading, candidates in groups.items():
        if candidates:
            lines += ["", heading, *_format_candidates(candidates)]
    if best:
        lines += ["", *textwrap.wrap(_RATE, WIDTH)]
    known_bands = sorted({each.convention.n_mels for each in result.candidates})
    if result.n_mels not in known_bands:
        known = ", ".join(map(str, known_bands))
        lines += ["", f"no preset has {result.n_mels} bands; presets have {known}"]
    return lines


def identification_report(result: Identification) -> dict[str, Any]:
    """Return an identification for JSON, with the candidates of as many bands."""
    candidates = [
        {
            "preset": each.preset,
            "model_space": each.model_space,
            "sample_rate": each.convention.sample_rate,
            "verdict": each.verdict,
            "reason": each.reason,
            "score": each.score,
        }
        for each in _same_bands(result)
    ]
    info = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name != "candidates"
    }
    return {**info, "best": [each.title for each in result.best], "candidates": candidates}
