"""`torchmelinv presets`: list the presets, or show one, or the convention of a JSON file."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from torchmelinv.cli.console import EXIT_OK, print_json, print_message
from torchmelinv.cli.describe import (
    describe_compression,
    describe_filterbank,
    format_fields,
    format_table,
    terminal_width,
)
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.preset_table import Row
from torchmelinv.conventions.presets import as_convention, preset, preset_info, preset_names


def run(options: argparse.Namespace) -> int:
    """Print the presets and return the exit code."""
    if options.name is None and options.json:
        print_json([preset_report(name) for name in preset_names()])
    elif options.name is None:
        print("\n".join(format_presets(terminal_width())))
    elif options.name.lower().endswith(".json"):
        convention = as_convention(options.name)
        if options.json:
            print_json(convention.to_dict())
        else:
            print("\n".join(format_fields(convention_fields(convention))))
    elif options.json:  # the convention alone, so that the output is a file for --convention
        report = preset_report(options.name)
        print_message("note", "; ".join(filter(None, (report["source"], report["note"]))))
        print_json(report["convention"])
    else:
        print("\n".join(format_preset(options.name)))
    return EXIT_OK


def format_presets(width: int | None) -> list[str]:
    """Return the table of all presets as lines; names are whole, because they are to be typed."""
    return format_table(preset_rows(), (1, 2, 3, 4), width, whole=(0,))


def preset_rows() -> list[Sequence[str]]:
    """Return a table of all presets; the first row is the heading."""
    rows: list[Sequence[str]] = [("name", "rate", "bands", "n_fft", "hop", "level", "source")]
    for name in preset_names():
        convention = preset(name)
        numbers = (
            convention.sample_rate,
            convention.n_mels,
            convention.n_fft,
            convention.hop_length,
        )
        texts = (describe_compression(convention), preset_info(name).source)
        rows.append((name, *(f"{number:g}" for number in numbers), *texts))
    return rows


def _origin(row: Row) -> str:
    return f"{row.source} at {row.commit}: {row.path}"


def format_preset(name: str) -> list[str]:
    """Return all fields of a preset, its origin and its notes as lines."""
    row = preset_info(name)
    fields = convention_fields(preset(name))
    fields.append(("source", _origin(row)))
    if row.note:
        fields.append(("note", row.note))
    if row.needs:
        fields.append(("model space", f"needs {' and '.join(row.needs)}: {row.statistics}"))
    elif row.model_space:
        fields.append(("model space", describe_compression(preset(name, model_space=True))))
    return format_fields(fields)


def convention_fields(convention: MelConvention) -> list[tuple[str, str]]:
    """Return all fields of a convention, and its filterbank in words."""
    fields = []
    for field in dataclasses.fields(convention):
        value = getattr(convention, field.name)
        if field.name == "level":
            value = describe_compression(convention)
        fields.append((field.name, f"{value:g}" if isinstance(value, float) else str(value)))
    fields.append(("filterbank", describe_filterbank(convention)))
    return fields


def preset_report(name: str) -> dict[str, Any]:
    """Return a preset for JSON: its origin, its note and its convention."""
    row = preset_info(name)
    return {
        "name": name,
        "source": _origin(row),
        "note": row.note,
        "convention": preset(name).to_dict(),
    }
