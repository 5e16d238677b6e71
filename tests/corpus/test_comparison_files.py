"""Comparisons as JSON and CSV: nothing is lost, and both can be parsed strictly."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from torchmelinv.corpus.comparison import compare
from torchmelinv.corpus.comparison_files import comparison_to_dict, write_comparison_csv
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.pairs import Pair


def comparison():
    a, b = (Pair(name, Path(f"g/{name}.wav"), Path(f"r/{name}.wav")) for name in ("a", 'b,"b"'))
    return compare(
        {
            "ours": [
                ScoredPair(a, {"estoi": 0.9, "log_mel_l1": math.nan}),
                ScoredPair(b, error="b.wav is truncated"),
            ],
            "baseline": [ScoredPair(a, {"estoi": 0.7, "log_mel_l1": 2.0})],
        }
    )


def test_json_is_strict_and_complete():
    document = json.loads(json.dumps(comparison_to_dict(comparison()), allow_nan=False))
    first, second = document["items"]
    assert first["scores"]["ours"] == {"estoi": 0.9, "log_mel_l1": None}
    assert second["errors"] == {"ours": "b.wav is truncated"}
    assert [each["name"] for each in document["systems"]] == ["ours", "baseline"]
    assert (document["systems"][0]["scored"], document["systems"][0]["failed"]) == (1, 1)
    (difference,) = (each for each in document["differences"] if each["metric"] == "estoi")
    assert math.isclose(difference["mean"], 0.2)


def test_csv_has_a_row_for_each_item_and_system(tmp_path):
    write_comparison_csv(comparison(), tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["system"]) for row in rows] == [
        (name, system) for name in ("a", 'b,"b"') for system in ("ours", "baseline")
    ]
    assert (rows[0]["estoi"], rows[0]["log_mel_l1"], rows[1]["log_mel_l1"]) == ("0.9", "", "2.0")
    assert rows[2]["error"] == "b.wav is truncated"
