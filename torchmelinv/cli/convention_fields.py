"""Fields of a convention on the command line, derived from the record and its docstring.

Each number of `MelConvention` has an option of its name. ``--set FIELD=VALUE`` sets any other
field, and fields of the compression as ``level.FIELD``.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import math
import re
from typing import Any

from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.errors import InputError, nearest

_PREFIX = "field_"
_LEVEL = "level."


def _descriptions() -> dict[str, str]:
    """Return the first sentence about each field in the docstring of `MelConvention`."""
    text = inspect.getdoc(MelConvention) or ""
    section = text.partition("Args:\n")[2].partition("\n\nRaises:")[0]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(entry.split()).replace("`", "") for name, entry in entries}


def _number_fields() -> list[str]:
    return [
        field.name for field in dataclasses.fields(MelConvention) if field.type in ("int", "float")
    ]


def add_field_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each number of a convention, and `--set`."""
    group = parser.add_argument_group(
        "fields of the convention", "They replace those of the preset or of the file."
    )
    descriptions = _descriptions()
    for name in _number_fields():
        help_text = descriptions[name].partition(". ")[0].rstrip(".").replace("%", "%%")
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=_PREFIX + name,
            metavar="N",
            help=help_text if help_text[1:2].isupper() else help_text[:1].lower() + help_text[1:],
        )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        dest="field_values",
        metavar="FIELD=VALUE",
        help="any field, such as padding=same_reflect, mel_scale=htk or filter_norm=none, or one "
        "of the compression, such as level.log=ln, level.floor=1e-5 or level.reference_max=true "
        "(`torchmelinv presets NAME --json` shows all); may be repeated",
    )


def fields_from(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the given fields of a convention, and those of its compression."""
    fields: dict[str, Any] = {}
    for name in _number_fields():
        text = getattr(options, _PREFIX + name, None)
        if text is not None:
            fields[name] = _number(f"--{name.replace('_', '-')}", text)
    level: dict[str, Any] = {}
    for text in getattr(options, "field_values", ()):
        name, equals, value = text.partition("=")
        is_level, short_name = name.startswith(_LEVEL), name.removeprefix(_LEVEL)
        record = Compression if is_level else MelConvention
        known = [field.name for field in dataclasses.fields(record)]
        if not equals or short_name not in known or name == "level":
            hint = nearest(short_name, known)
            raise InputError(
                f"--set {text!r} sets no field; write FIELD=VALUE or {_LEVEL}FIELD=VALUE{hint}"
            )
        (level if is_level else fields)[short_name] = _value(value)
    return fields, level


def _value(text: str) -> Any:
    """Return a value of JSON, or the text itself; "none", "true" and "false" in any case."""
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _number(option: str, text: str) -> int | float:
    """Return a number, an integer if it has no fraction."""
    value = _value(text)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InputError(f"{option} is {text!r}; it must be a number")
    return int(value) if value == int(value) else value
