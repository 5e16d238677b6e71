"""No figure without a file: README's tables are what `benchmarks/results` renders; a file says what was measured and how."""

from __future__ import annotations

import datetime
import json
import platform
import re

import pytest

from benchmarks import common, tables

SUITES = tuple(tables.RENDERERS)


@pytest.fixture(params=SUITES)
def record(request: pytest.FixtureRequest) -> common.Record:
    return common.load(request.param)


def test_the_readme_shows_what_the_files_say():
    page = tables.README.read_text(encoding="utf-8")
    assert tables.fill(page) == page
    assert set(SUITES) == {name for _, name, _ in tables.BLOCK.findall(page)}


def test_a_result_names_its_surroundings_and_nothing_private(record: common.Record):
    assert record["suite"] in SUITES
    datetime.date.fromisoformat(record["date"])
    assert set(record["machine"]) == {"cpu", "cores", "threads", "system", "load_before"}
    assert {"python", "torchmelinv", "torch", "torchaudio", "librosa"} <= set(record["versions"])
    text = json.dumps(record)
    assert str(common.ROOT) not in text
    assert platform.node() not in text.split('"')
    assert not re.search(r'"(/|[A-Z]:)', text)  # an absolute path


def test_no_time_without_a_check():
    record = common.load("cpu")
    assert len(record["cases"]) == 5
    for case in record["cases"]:
        assert case["checks"]
        assert all(len(runs) == record["repeats"] for runs in case["seconds"].values())
        for peer, times in case["times_faster"].items():
            assert times == pytest.approx(common.ratio(case["seconds"], peer, case["ours"]), abs=1e-3)


@pytest.mark.parametrize("suite", SUITES)
def test_every_check_in_a_file_holds(suite: str):
    record = common.load(suite)
    for part in record["cases"] if suite == "cpu" else record["conventions"].values():
        for entry in part["checks"]:
            common.check(**entry)


def test_every_clip_has_every_score():
    for entry in common.load("quality")["conventions"].values():
        for clip in entry["speech"]:
            assert all(set(scores) == set(tables.METRICS) for scores in clip["scores"].values())
        gains = [clip["scores"]["torchmelinv"]["pesq_wb"] - clip["scores"]["librosa"]["pesq_wb"] for clip in entry["speech"]]
        assert entry["verdict"]["worst_pesq_gain"] == pytest.approx(min(gains), abs=1e-3)
        assert entry["verdict"]["gain"]["pesq_wb"] == pytest.approx(sum(gains) / len(gains), abs=1e-3)


def test_runs_alternate_and_each_is_warmed_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(common, "SECONDS_OF_A_RUN", 1e-9)
    order: list[str] = []
    contestants = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds, rounds = common.alternate(contestants, repeats=3, patience=0)
    assert "".join(order) == "aabb" * 3
    assert {name: len(runs) for name, runs in seconds.items()} == {"a": 3, "b": 3}
    assert rounds["thrown_away"] == 0


def test_a_round_that_others_disturbed_is_done_again(monkeypatch: pytest.MonkeyPatch):
    shares = iter([0.0, 0.4, 0.02])
    monkeypatch.setattr(common, "SECONDS_OF_A_RUN", 1e-9)
    monkeypatch.setattr(common, "others_share", lambda run: (run(), next(shares))[1])
    monkeypatch.setattr(common.time, "sleep", lambda _: None)
    order: list[str] = []
    seconds, rounds = common.alternate({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repeats=2)
    assert "".join(order) == "aabb" * 3
    assert {name: len(runs) for name, runs in seconds.items()} == {"a": 2, "b": 2}
    assert rounds == {"thrown_away": 1, "others_share": 0.02}


def test_the_ratio_is_one_of_medians():
    assert common.ratio({"peer": [9.0, 6.0, 5.0], "ours": [2.0, 1.0, 40.0]}, "peer", "ours") == 3.0


@pytest.mark.parametrize(("value", "limit"), [(2.0, {"at_most": 1}), (0.0, {"at_least": 1}), (float("nan"), {"at_most": 1})])
def test_a_check_that_fails_stops_the_run(value: float, limit: dict[str, float]):
    with pytest.raises(common.CheckFailed, match="residual"):
        common.check("residual", value, **limit)


def test_without_recordings_speech_is_synthetic(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(common, "AUDIO", tmp_path)
    waveform, source = common.speech(2, 40_000, 22050)
    assert waveform.shape == (2, 40_000)
    assert "synthetic" in source
