"""The table of a comparison: columns that fit, the worst item, differences, the glossary."""

from __future__ import annotations

import math

from torchmelinv.cli.comparison_table import format_comparison, format_glossary
from torchmelinv.corpus.comparison import compare
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.pairs import Pair


def scored(values):
    return [ScoredPair(Pair(name, None, None), {"estoi": v}) for name, v in values.items()]


OURS = scored({"a": 0.9, "b": 0.8, "c": math.nan})
BASELINE = scored({"a": 0.6, "b": 0.5})


def test_one_system_has_neither_its_name_nor_differences():
    heading, line = format_comparison(compare({"ours": OURS}), 200)
    assert "system" not in heading
    assert line.split() == [
        "ESTOI",
        "↑",
        "0.850",
        "0.800",
        "…",
        "0.900",
        "2",
        "0.850",
        "0.800",
        "b",
    ]


def test_differences_are_to_the_first_system():
    lines = format_comparison(compare({"ours": OURS, "baseline": BASELINE}), 200)
    assert "minus ours" in lines[0]
    assert "-0.300 (-0.300 … -0.300)*" in lines[2]
    assert lines[-1].startswith("minus ours: paired difference")


def test_columns_beyond_the_width_are_left_out():
    comparison = compare({"ours": OURS, "baseline": BASELINE})
    narrow = format_comparison(comparison, 60)
    assert max(map(len, narrow[:-1])) <= 60
    assert "worst" not in narrow[0]
    assert "0.850" in narrow[1]


def test_a_metric_without_values_is_not_defined():
    lines = format_comparison(compare({"ours": scored({"a": math.nan})}), 200)
    assert "not defined" in lines[1]


def test_the_glossary_leaves_out_the_references():
    lines = format_glossary()
    assert any(line.endswith("(estoi)") for line in lines)
    assert not any("(reference_" in line for line in lines)
    assert max(map(len, lines)) <= 96
