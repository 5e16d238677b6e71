"""Comparisons: means by system, paired differences over common items, absent files."""

from __future__ import annotations

import math
import os

import pytest

from torchmelinv.corpus.comparison import compare
from torchmelinv.corpus.comparison_files import write_comparison_csv
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.pairs import Pair
from torchmelinv.metrics import bootstrap_mean

OURS = {"a": 3.0, "b": 3.5, "c": math.nan, "d": 4.0}
BASELINE = {"a": 2.5, "b": 3.1, "c": 3.0}


def scored(values):
    return [ScoredPair(Pair(name, None, None), {"pesq_wb": v}) for name, v in values.items()]


def test_differences_are_of_the_items_that_both_have():
    comparison = compare({"ours": scored(OURS), "baseline": scored(BASELINE)})
    mean = comparison.summary_of("ours", "pesq_wb")
    assert (mean.mean, mean.n) == (3.5, 3)
    difference = comparison.difference_of("ours", "baseline", "pesq_wb")
    expected = bootstrap_mean([0.5, 3.5 - 3.1])
    assert difference.mean == pytest.approx(expected.mean)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert (difference.n, difference.is_clear) == (2, True)
    reverse = comparison.difference_of("baseline", "ours", "pesq_wb")
    assert (reverse.mean, reverse.low) == (-difference.mean, -difference.high)
    assert len(comparison.differences) == 1


def test_three_systems_have_three_differences():
    systems = {name: scored(BASELINE) for name in "xyz"}
    comparison = compare(systems)
    pairs = [(each.system, each.other) for each in comparison.differences]
    assert pairs == [("x", "y"), ("x", "z"), ("y", "z")]
    assert not any(each.is_clear for each in comparison.differences)
    assert math.copysign(1, comparison.difference_of("z", "x", "pesq_wb").mean) == 1


def test_items_without_a_pair_are_counted():
    rows = [
        *scored({"a": 3.0}),
        ScoredPair(Pair("b", None, None, "no generated file has this name"), error="…"),
        ScoredPair(Pair("c", None, None, "no reference file has this name"), error="…"),
        ScoredPair(Pair("d", None, None), error="x.wav is truncated"),
    ]
    comparison = compare({"ours": rows})
    assert [item.name for item in comparison.items] == ["a", "d"]
    assert comparison.items[1].errors == {"ours": "x.wav is truncated"}
    assert comparison.absent == {"ours": {"no_generated": 1, "no_reference": 1}}
    assert compare({}).items == []


def test_the_csv_holds_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"a\xff")
    write_comparison_csv(compare({"ours": scored({name: 3.0})}), tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_bytes().splitlines()[1] == b"a\xff,ours,,,,3.0"
