"""Values as text and as JSON."""

from __future__ import annotations

import json
import math

import pytest

from torchmelinv._utils.text import decibels, plain, printable, unique_keys


def test_control_characters_are_escaped():
    assert printable("naïve name.npy") == "naïve name.npy"
    assert printable("a\nb\x1b[2K\u202e") == r"a\nb\x1b[2K\u202e"


def test_json_has_no_nan_and_no_infinity():
    value = {"a": math.nan, 1: [1.5, -math.inf, (math.inf, 2)], "c": {"d": "x", "e": None}}
    expected = {"a": None, "1": [1.5, None, [None, 2]], "c": {"d": "x", "e": None}}
    assert plain(value) == expected
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-27.04, "-27.0 dB"),
        (-300.0, "-300.0 dB"),
        (-math.inf, "exact"),
        (math.inf, "not defined"),
        (math.nan, "not defined"),
    ],
)
def test_decibels(value, text):
    assert decibels(value) == text


def test_repeated_keys_are_refused():
    assert json.loads('{"a": {"b": 1}, "c": {"b": 2}}', object_pairs_hook=unique_keys) == {
        "a": {"b": 1},
        "c": {"b": 2},
    }
    with pytest.raises(ValueError, match="the key 'b' twice"):
        json.loads('{"a": {"b": 1, "b": 2}}', object_pairs_hook=unique_keys)
