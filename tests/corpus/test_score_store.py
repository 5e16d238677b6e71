"""Scores on disk: found again as long as files and settings are the same, whatever was cut."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.pairs import Pair
from torchmelinv.corpus.score_store import ScoreStore
from torchmelinv.corpus.sharding import World
from torchmelinv.errors import FileError

SETTINGS = {"convention": "x"}


@pytest.fixture
def pair(tmp_path) -> Pair:
    for name in ("g.wav", "r.wav"):
        (tmp_path / name).write_bytes(b"sound")
    return Pair("x", tmp_path / "g.wav", tmp_path / "r.wav")


def test_scores_come_back_exactly(tmp_path, pair):
    scored = ScoredPair(pair, {"pesq_wb": 0.1 + 0.2, "estoi": math.inf}, ("a note",))
    with ScoreStore(tmp_path / "s", SETTINGS, World(1, 2)) as store:
        assert store.find(pair) is None
        store.add(scored)
    with ScoreStore(tmp_path / "s", SETTINGS) as store:  # another rank
        assert store.find(pair) == scored
    with ScoreStore(tmp_path / "s", {"convention": "y"}) as store:
        assert store.find(pair) is None


def test_a_changed_file_is_scored_again(tmp_path, pair):
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        store.add(ScoredPair(pair, {"estoi": 0.5}))
    os.utime(pair.generated, ns=(1, 1))
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        assert store.find(pair) is None
    pair.reference.unlink()
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        assert store.find(pair) is None


def test_a_file_that_changes_while_it_is_scored_is_scored_again(tmp_path, pair):
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        assert store.find(pair) is None
        os.utime(pair.generated, ns=(1, 1))
        store.add(ScoredPair(pair, {"estoi": 0.5}))
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        assert store.find(pair) is None


def test_errors_are_tried_again(tmp_path, pair):
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        store.add(ScoredPair(pair, error="no memory"))
        store.add(ScoredPair(Pair("y", None, None), {"estoi": 1.0}))
    assert Path(tmp_path, "s", "scores-0.jsonl").read_bytes() == b""


@pytest.mark.parametrize("end", [b'{"key": "ab', b'[1]\n{"key": 3, "scores": []}\n\xff\x00', b"{}"])
def test_lines_that_are_cut_or_foreign_are_ignored(tmp_path, pair, end):
    scored = ScoredPair(pair, {"estoi": 0.5})
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        store.add(scored)
    with (tmp_path / "s/scores-0.jsonl").open("ab") as file:
        file.write(end)
    os.utime(pair.generated, ns=(1, 1))
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        store.add(scored)
    with ScoreStore(tmp_path / "s", SETTINGS) as store:
        assert store.find(pair) == scored


def test_a_link_is_refused(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/scores-0.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError), ScoreStore(tmp_path / "s", SETTINGS):
        pass
    assert not (tmp_path / "elsewhere").exists()
