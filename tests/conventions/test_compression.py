"""Conventions of compression: errors name each wrong value."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conventions.wrong_fields import cases
from torchmelinv.conventions import Compression
from torchmelinv.errors import ConventionError

WRONG = [
    ("floor", (0, -1e-5, "low"), "above 0"),
    ("offset", (-1e-5, None), "finite number ≥ 0"),
    ("log", ("log2", 10, "log"), "'ln', 'log10', None"),
    ("multiplier", (0, -10, None), "above 0"),
    ("shift", (float("nan"), None), "finite number"),
    ("reference_max", (1, None), "True or False"),
    ("dynamic_range", (0, -8, "80 dB"), "above 0"),
    ("affine", ((1,), (1, 2, 3), (0, 0), 3, (0, float("nan")), "ab"), ""),
    ("clip", ((0,), (1, 0), (1, 1), 4), ""),
    ("band_mean", ((), 3, (1, float("nan")), (None,)), "finite numbers"),
    ("band_scale", ((), (1, 0)), ""),
]


@pytest.mark.parametrize(("field", "value", "words"), cases(WRONG))
def test_a_wrong_field_of_a_compression_is_named(field: str, value: Any, words: str) -> None:
    fields = {"log": "ln", "floor": 1e-5} if field != "offset" else {"log": "ln"}
    with pytest.raises(ConventionError, match=re.escape(f"Compression.{field} is ")) as caught:
        Compression(**{**fields, field: value})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"log": "ln"}, "floor"),
        ({"log": "ln", "floor": 1e-5, "offset": 1e-5}, "offset"),
        ({"dynamic_range": 80.0}, "dynamic_range"),
        ({"reference_max": True}, "reference_max"),
    ],
)
def test_contradicting_fields_of_a_compression(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ConventionError, match=f"Compression.{field} is "):
        Compression(**fields)
