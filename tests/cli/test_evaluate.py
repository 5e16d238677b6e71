"""`torchmelinv evaluate`: tables, figures, reports, notes and errors."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, TINY_ONE, console, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.cli.evaluate import format_scores
from torchmelinv.corpus.evaluation import ScoredPair, mean_scores
from torchmelinv.corpus.pairs import Pair
from torchmelinv.demo import signal
from torchmelinv.io.audio import write_audio
from torchmelinv.metrics import METRICS, OPINION_METRICS, opinion_scores
from torchmelinv.metrics.opinion import PACKAGES

pytestmark = pytest.mark.usefixtures("workplace")

EVALUATE = ["evaluate", "--reference", "ref", "--generated", "gen", *TINY_ONE]


@pytest.fixture
def folders(workplace):  # noqa: F811
    for index, name in enumerate(("a", "deep/b", "c")):
        reference = tone(0.2, index)
        generated = reference + 0.01 * (index + 1) * torch.randn(1600)
        write_audio(f"ref/{name}.wav", reference, TINY.sample_rate, "FLOAT")
        write_audio(f"gen/{name}.flac", generated, TINY.sample_rate, "PCM_24")


@pytest.fixture
def without_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)


def save_mels():
    for folder in ("ref", "gen"):
        Path(folder).mkdir()
        np.save(f"{folder}/x.npy", tiny_mel().numpy())


@pytest.mark.usefixtures("folders", "without_extra")
def test_a_table_and_a_figure(run):
    code, out, err = run(*EVALUATE, "--plot", "figures/dist.png")
    assert code == 0
    assert err.startswith("torchmelinv: note: without PESQ and ESTOI: pesq ")
    assert err.count("\n") == 1
    heading, *lines = out.splitlines()
    assert heading.split()[-1] == "worst"
    names = [name for name in METRICS if name.removeprefix("reference_") not in OPINION_METRICS]
    assert [line.split("  ")[0] for line in lines] == [METRICS[name].label for name in names[2:]]
    (line,) = (line for line in lines if line.startswith("SI-SDR"))
    assert line.split()[2] == "higher"
    assert line.split()[-1] == "c"
    assert Path("figures/dist.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("folders", "without_extra")
def test_missing_and_broken_pairs_are_listed(run):
    Path("gen/c.flac").write_text("hello")
    write_audio("ref/d.wav", tone(), TINY.sample_rate)
    code, out, err = run(*EVALUATE)
    assert code == 1
    assert "  2  " in out.splitlines()[1]
    errors = [line for line in err.splitlines() if "error" in line]
    assert errors[0].startswith("torchmelinv: error: c: gen/c.flac cannot be read as audio")
    assert errors[1:] == [
        "torchmelinv: error: d: no generated file has this name",
        "torchmelinv: error: 2 of 4 pairs could not be compared",
    ]


@pytest.mark.usefixtures("without_extra")
def test_opinion_scores_of_waveforms_and_recordings(run):
    for package in PACKAGES:
        pytest.importorskip(package)
    reference = signal(0.6, TINY.sample_rate)
    generated = reference + 0.02 * torch.randn(reference.shape)
    write_audio("ref/a.wav", reference, TINY.sample_rate, "FLOAT")
    write_audio("gen/a.wav", generated, TINY.sample_rate, "FLOAT")
    code, out, _ = run(*EVALUATE, "--opinion", "--json")
    assert code == 0
    scores = json.loads(out)["pairs"][0]["scores"]
    for prefix, waveform in (("", generated), ("reference_", reference)):
        for name, value in opinion_scores(waveform, TINY.sample_rate).items():
            assert scores[f"{prefix}{name}"] == pytest.approx(float(value), abs=1e-3)


def test_opinion_scores_stand_beside_those_of_the_reference():
    scored = [ScoredPair(Pair("a", None, None), {"dnsmos": 3.2, "reference_dnsmos": 3.1})]
    lines = format_scores(mean_scores(scored), scored, 200)
    assert [line.split("  ")[0] for line in lines[1:]] == ["DNSMOS", "DNSMOS of reference"]
    assert [line.split("higher")[1].split()[0] for line in lines[1:]] == ["3.20", "3.10"]


@pytest.mark.usefixtures("folders")
def test_opinion_scores_without_their_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "distillmos.sqa", None)
    code, out, err = run(*EVALUATE, "--opinion")
    assert (code, out) == (2, "")
    assert "`pip install 'torchmelinv[mos]'` provides it" in err
    assert err.count("error: ") == 1


@pytest.mark.usefixtures("folders")
def test_the_report_as_json(run):
    write_audio("gen/lost.wav", tone(), TINY.sample_rate)
    write_audio("ref/silent.wav", torch.zeros(1600), TINY.sample_rate)
    write_audio("gen/silent.wav", tone(), TINY.sample_rate)
    code, out, _ = run(*EVALUATE, "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["scored"], report["failed"]) == (4, 1)
    assert (report["reference"], report["convention"]) == ("ref", "tiny.json")
    pairs = {pair["name"]: pair for pair in report["pairs"]}
    assert list(pairs) == ["a", "c", "deep/b", "lost", "silent"]
    assert (pairs["a"]["generated"], pairs["lost"]["reference"]) == ("gen/a.flac", None)
    assert pairs["silent"]["scores"]["mel_error_db"] is None
    mean = report["metrics"]["mel_error_db"]
    values = [pairs[name]["scores"]["mel_error_db"] for name in ("a", "c", "deep/b")]
    assert mean["mean"] == pytest.approx(sum(values) / 3)
    assert mean["low"] <= mean["mean"] <= mean["high"]
    assert (mean["n"], mean["higher_is_better"]) == (3, False)
    assert report["interval"] == "percentiles 2.5 and 97.5 of 2000 bootstrap means, seed 0"
    assert run(*EVALUATE, "--json")[1] == out


def test_two_mels_have_the_metrics_of_mels(run):
    save_mels()
    code, out, err = run(*EVALUATE)
    assert (code, err) == (0, "")
    lines = out.splitlines()[1:]
    labels = ["mel error, dB", "log-mel L1", "MCD, dB", "smoothness"]
    assert [line.split("  ")[0] for line in lines] == labels
    cells = lines[0].removeprefix("mel error, dB").split()
    assert cells == ["lower", "-300.0", "–", "1", "-300.0", "-300.0", "x"]


@pytest.mark.usefixtures("folders", "without_extra")
def test_a_note_of_many_pairs_is_one_line(run):
    for index in range(30):
        write_audio(f"ref/n{index}.wav", tone(0.1), 2 * TINY.sample_rate)
        write_audio(f"gen/n{index}.wav", tone(0.1)[:400], TINY.sample_rate)
        write_audio(f"ref/cut{index}.wav", tone(0.5), TINY.sample_rate)
        write_audio(f"gen/cut{index}.wav", tone(0.5)[: 300 + 80 * index], TINY.sample_rate)
    code, _, err = run(*EVALUATE)
    assert code == 0
    assert "torchmelinv: note: 30 pairs: reference: resampled from 16000 to 8000 Hz\n" in err
    assert "more notes; --json prints all" in err
    assert err.count("note: ") == 22


def scored_pairs(*values: float) -> list[ScoredPair]:
    scores = [{"mel_error_db": value, "pesq_wb": -value} for value in values]
    return [ScoredPair(Pair(f"name{index}", None, None), each) for index, each in enumerate(scores)]


def test_the_table_fits_the_terminal():
    scored = scored_pairs(-20.0, -30.0, -25.0)
    means = mean_scores(scored)
    tables = {width: format_scores(means, scored, width) for width in (200, 70, 50, 35, 10)}
    for width, lines in tables.items():
        assert max(map(len, lines)) <= width or width == 10
    headings = tables[200][0].split()
    assert headings == ["better", "mean", "95", "%", "interval", "pairs", "median", "worst"]
    assert tables[200][2].endswith("-20.0  name0")
    assert tables[200][1].endswith("20.00  name0")
    assert tables[10][0].split() == ["better", "mean"]
    lengths = [len(lines[0]) for lines in tables.values()]
    assert lengths == sorted(lengths, reverse=True)


def test_a_metric_without_a_value():
    scored = scored_pairs(math.inf, math.nan)
    lines = format_scores(mean_scores(scored), scored, 200)
    assert all("not defined" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", *TINY_ONE], "--reference, --generated"),
        (["evaluate", "--reference", "ref", "--generated", "gen"], "--convention"),
        (
            ["evaluate", "--reference", "none", "--generated", "gen", *TINY_ONE],
            "none does not exist",
        ),
        (
            ["evaluate", "--reference", "ref", "--generated", "speech.wav", *TINY_ONE],
            "give two folders, or two files",
        ),
        (
            ["evaluate", "--reference", "ref", "--generated", "empty", *TINY_ONE],
            "no audio or mel file has the same name",
        ),
        ([*EVALUATE, "--plot", "x.jpeg"], "'.jpeg'"),
        ([*EVALUATE, "--device", "gpu"], "there is no device 'gpu'"),
    ],
)
def test_mistakes(run, arguments, message):
    save_mels()
    Path("empty").mkdir()
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
