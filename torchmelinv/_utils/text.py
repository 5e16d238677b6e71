"""Values as text for people, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def printable(text: str) -> str:
    """Escape everything but printable characters; file names may contain control characters."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def plain(value: Any) -> Any:
    """Convert a value for JSON, which has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a table; refuse repeated keys, of which readers take different ones.

    As a hook of `json.loads`, it does so in every object.
    """
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"it has the key {key[:100]!r} twice")
        table[key] = value
    return table


def decibels(value: float) -> str:
    """Format a value in dB; −∞ is "exact", other values that are not finite are "not defined"."""
    if math.isfinite(value):
        return f"{value:.1f} dB"
    return "exact" if value < 0 else "not defined"
