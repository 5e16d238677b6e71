"""Conventions and inspections in words and tables, for people who read a terminal."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from torchmelinv.conventions import MelConvention
from torchmelinv.evidence import FITS, IMPOSSIBLE, POSSIBLE, UNLIKELY
from torchmelinv.inspection import Fit, Inspection
from torchmelinv.preset_table import Row
from torchmelinv.presets import about, preset, preset_names

WIDTH = 118


def level_in_words(convention: MelConvention) -> str:
    """What a convention does to the spectrum and the linear mel, as a short phrase."""
    level = convention.level
    words = [{1.0: "magnitude", 2.0: "power"}.get(convention.power, f"magnitude^{convention.power:g}")]
    factor = f"{level.multiplier:g} " if level.multiplier != 1 else ""
    floor = f" above {level.floor:.3g}" if level.floor else f" of mel + {level.offset:.3g}" if level.offset else ""
    words.append(f"{factor}{level.log or 'linear'}{floor}")
    if level.shift:
        words.append(f"{'plus' if level.shift > 0 else 'minus'} {abs(level.shift):g}")
    if level.reference_max:
        words.append("minus its peak")
    if level.dynamic_range is not None:
        words.append(f"at most {level.dynamic_range:g} below its peak")
    if level.affine is not None:
        words.append(f"(x {'−' if level.affine[0] > 0 else '+'} {abs(level.affine[0]):.5g}) / {level.affine[1]:.5g}")
    if level.clip is not None:
        words.append(f"clipped to {level.clip[0]:g} … {level.clip[1]:g}")
    if level.band_mean is not None or level.band_scale is not None:
        words.append("statistics of each band")
    return ", ".join(words)


def table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows of words as aligned lines; the columns in `right` stand at their right edge."""
    rows = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    places = [(str.rjust if column in right else str.ljust) for column in range(len(widths))]
    lines = ("  ".join(place(cell, width) for place, cell, width in zip(places, row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def preset_rows() -> list[Sequence[str]]:
    """All presets, one to a row, below a heading."""
    rows: list[Sequence[str]] = [("name", "rate", "bands", "n_fft", "hop", "level", "source")]
    for name in preset_names():
        convention = preset(name)
        numbers = (convention.sample_rate, convention.n_mels, convention.n_fft, convention.hop_length)
        rows.append((name, *(f"{number:g}" for number in numbers), level_in_words(convention), about(name).source))
    return rows


def preset_lines() -> list[str]:
    """The same as aligned lines."""
    return table(preset_rows(), right=(1, 2, 3, 4))


def _origin(row: Row) -> str:
    return f"{row.source} at {row.commit}: {row.path}"


def convention_lines(name: str) -> list[str]:
    """One preset in full: its fields, where they were read and what its mel has lost."""
    row, convention = about(name), preset(name)
    values: dict[str, Any] = {field.name: getattr(convention, field.name) for field in dataclasses.fields(convention)}
    values["level"] = level_in_words(convention)
    facts = [(field, f"{value:g}" if isinstance(value, float) else str(value)) for field, value in values.items()]
    facts.append(("source", _origin(row)))
    if row.note:
        facts.append(("note", row.note))
    if row.needs:
        facts.append(("model space", f"needs {' and '.join(row.needs)}: {row.statistics}"))
    elif row.model_space:
        facts.append(("model space", level_in_words(preset(name, model_space=True))))
    return hanging(facts)


def hanging(facts: Iterable[tuple[str, str]]) -> list[str]:
    """Pairs as a heading and a paragraph that keeps to its column."""
    facts = list(facts)
    indent = max(len(heading) for heading, _ in facts) + 2
    lines = []
    for heading, text in facts:
        lines += textwrap.wrap(text, WIDTH, initial_indent=heading.ljust(indent), subsequent_indent=" " * indent) or [heading]
    return lines


def preset_facts(name: str) -> dict[str, Any]:
    """One preset for JSON: where it was read, what it has lost, and its convention."""
    row = about(name)
    return {"name": name, "source": _origin(row), "note": row.note, "convention": preset(name).to_dict()}


def _grouped(fits: Iterable[Fit]) -> list[str]:
    """Presets that share a level and a reason under one line with all their names."""
    groups: dict[tuple[str, str], list[str]] = {}
    for fit in fits:
        groups.setdefault((level_in_words(fit.convention), fit.reason), []).append(fit.title)
    lines = []
    for (level, reason), names in groups.items():
        lines += textwrap.wrap(", ".join(names), WIDTH, initial_indent="  ", subsequent_indent="  ")
        lines += textwrap.wrap(f"{level}: {reason}", WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines


def inspection_lines(found: Inspection) -> list[str]:
    """An inspection as a page: what the mel is, which presets fit, and why the others with as many bands do not."""
    shape = f"{found.shape} {found.dtype}: {found.n_mels} bands, {found.n_frames} frames"
    if found.transposed:
        shape += " – transposed, models want (bands, frames)"
    elif found.perhaps_transposed:
        shape += f" – or transposed, {found.n_frames} bands and {found.n_mels} frames: then turn it and look again"
    facts = [("shape", shape)]
    if found.n_not_finite:
        facts.append(("broken", f"NaN or Inf in {found.n_not_finite} places; those frames are left out here"))
    facts.append(("values", f"{found.minimum:.6g} … {found.maximum:.6g}, mean {found.mean:.4g}, deviation {found.deviation:.4g}"))
    guess = {"ln": "natural logarithm (ln)", "log10": "logarithm to base 10 (log10)", "dB": "decibels"}.get(found.log, found.log)
    facts.append(("level", f"{guess}{f', floor {found.floor:g}' if found.floor else ''}: {found.reason}"))
    if abs(found.mean) < 0.1 and abs(found.deviation - 1) < 0.1:
        facts.append(("", "mean 0 and deviation 1: it may be normalised by statistics that only its maker has"))
    lines = hanging(facts)
    rest = [fit for fit in found.fits if fit.convention.n_mels == found.n_mels and fit not in found.best]
    groups = {"fits best" if found.best and found.best[0].verdict == FITS else "most likely": list(found.best)}
    groups["less likely"] = [fit for fit in rest if fit.verdict in (FITS, POSSIBLE)]
    groups |= {verdict: [fit for fit in rest if fit.verdict == verdict] for verdict in (UNLIKELY, IMPOSSIBLE)}
    for heading, fits in groups.items():
        if fits:
            lines += ["", heading, *_grouped(fits)]
    bands = sorted({fit.convention.n_mels for fit in found.fits})
    if found.n_mels not in bands:
        lines += ["", f"no preset has {found.n_mels} bands; they have {', '.join(map(str, bands))}"]
    return lines


def inspection_facts(found: Inspection) -> dict[str, Any]:
    """An inspection for JSON, the presets with another number of bands left out."""
    fits = [
        {"preset": fit.preset, "model_space": fit.model_space, "verdict": fit.verdict, "reason": fit.reason, "score": fit.score}
        for fit in found.fits if fit.convention.n_mels == found.n_mels
    ]
    facts = {field.name: getattr(found, field.name) for field in dataclasses.fields(found) if field.name != "fits"}
    return {**facts, "best": [fit.title for fit in found.best], "fits": fits}
