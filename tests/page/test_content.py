"""The numbers in a page are those of the comparison, at the right places."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest

from torchmelinv.conventions.presets import preset
from torchmelinv.corpus import Comparison, Pair, ScoredPair, compare
from torchmelinv.page.content import scores_and_notes, system_names, tables
from torchmelinv.page.sounds import FLAC


def comparison(reference: Path | None = Path("r.wav")) -> Comparison:
    """Return two systems on two items; the second system lacks a score and fails once."""
    pairs = [Pair(name, Path("g.wav"), reference) for name in ("a", "b\n\u202e")]
    ours = [
        ScoredPair(pairs[0], {"estoi": 0.9, "mel_error_db": -math.inf}, ("resampled",)),
        ScoredPair(pairs[1], {"estoi": 0.7, "mel_error_db": -20.0}),
    ]
    other = [ScoredPair(pairs[0], {"estoi": 0.5}), ScoredPair(pairs[1], error="too short")]
    return compare({"ours": ours, "reference": other}, preset("hifigan_22k"))


def test_tables() -> None:
    content = tables(comparison(), FLAC)
    assert [system["name"] for system in content["systems"]] == ["reference", "ours", "reference"]
    assert [system["reference"] for system in content["systems"]] == [True, False, False]
    assert [metric["label"] for metric in content["metrics"]] == ["ESTOI", "mel error"]
    assert [metric["better"] for metric in content["metrics"]] == ["higher", "lower"]
    estoi, mel_error = content["summary"]
    assert estoi[0] is None
    assert estoi[1]["mean"] == pytest.approx(0.8)
    assert (estoi[2]["mean"], estoi[2]["low"], estoi[2]["n"]) == (0.5, None, 1)
    assert (mel_error[1]["mean"], mel_error[2]) == (-20.0, None)
    (difference,) = content["differences"]
    assert (difference["metric"], difference["a"], difference["b"]) == (0, 1, 2)
    assert difference["mean"] == pytest.approx(0.4)
    assert "80 mel bands at 22050 Hz" in content["about"]
    json.dumps(content, allow_nan=False)


def test_frequencies_are_far_enough_apart_and_in_order() -> None:
    shares = [tick["share"] for tick in tables(comparison(), FLAC)["frequencies"]]
    assert 3 <= len(shares) <= 5
    assert all(high - low >= 0.2 for low, high in itertools.pairwise(shares))
    assert shares[0] >= 0
    assert shares[-1] <= 1


def test_scores_of_an_item() -> None:
    first, second = (scores_and_notes(comparison(), index) for index in range(2))
    assert first["scores"] == [[None, 0.9, 0.5], [None, None, None]]
    assert second["scores"] == [[None, 0.7, None], [None, -20.0, None]]
    assert first["notes"] == ["ours: resampled"]
    assert second["notes"] == ["reference: too short"]
    assert second["name"] == "b\\n\\u202e"


def test_without_references() -> None:
    assert system_names(comparison(None)) == ["ours", "reference"]
    assert scores_and_notes(comparison(None), 0)["scores"][0] == [0.9, 0.5]
    assert "first system" in tables(comparison(None), FLAC)["scale"][2]
