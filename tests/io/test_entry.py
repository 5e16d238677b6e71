"""Entries are values: equal ones name the same mel."""

from __future__ import annotations

from pathlib import Path

from torchmelinv.io.entry import MelEntry


def test_entries_are_values():
    entry = MelEntry(Path("a.ark"), "x", 12)
    assert entry == MelEntry(Path("a.ark"), "x", 12)
    assert len({entry, MelEntry(Path("a.ark"), "x", 12), MelEntry(Path("a.ark"), "x", 30)}) == 2
