"""Cases of wrong fields, and the smallest mel convention."""

from __future__ import annotations

from typing import Any

import pytest

BASE = {"sample_rate": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 80}


def cases(table: list[tuple[str, tuple[Any, ...], str]]) -> list[Any]:
    """Return a case for each value of a table.

    Its rows are field, invalid values, and text that the message must hold besides the field and
    the value.
    """
    return [
        pytest.param(field, value, words, id=f"{field}={value!r}")
        for field, values, words in table
        for value in values
    ]
