"""Tables and lines of the result pages."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from benchmarks.records import Record


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Collection[int] = (0,)) -> str:
    """Return a Markdown table; the columns `text` are text, the others are numbers."""
    rule = ["---" if index in text else "---:" for index in range(len(head))]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def paragraph(text: str) -> str:
    """Return text in lines of at most 100 columns."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def provenance(record: Record) -> str:
    """Return date, machine and versions of a record as a phrase."""
    machine, versions = record["machine"], record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "torchaudio", "librosa"))
    threads = f"{machine['threads']} of {machine['cores']} cores"
    python = f"Python {versions['python']}"
    return f"{record['date']}, {machine['cpu']} ({threads}), {packages}, {python}"


def duration(seconds: float) -> str:
    """Return seconds or milliseconds."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def background(record: Record) -> str:
    """Return a sentence about the load by other processes during a record's runs."""
    load = max(case["rounds"]["background_load"] for case in record["cases"])
    return f"Other processes used at most {100 * load:.0f} % of the machine."
