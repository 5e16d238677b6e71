"""`torchmelinv evaluate` through `main`."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, TINY_ONE, console, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.commands.evaluate import table_lines
from torchmelinv.files import write_audio
from torchmelinv.jobs.evaluate import Scored, means
from torchmelinv.jobs.pairs import Pair
from torchmelinv.measure.scores import METRICS

pytestmark = pytest.mark.usefixtures("workplace")

EVALUATE = ["evaluate", "--reference", "ref", "--generated", "gen", *TINY_ONE]


@pytest.fixture
def folders(workplace):  # noqa: F811
    for index, name in enumerate(("a", "deep/b", "c")):
        reference = tone(0.2, index)
        write_audio(f"ref/{name}.wav", reference, TINY.sample_rate, "FLOAT")
        write_audio(f"gen/{name}.flac", reference + 0.01 * (index + 1) * torch.randn(1600), TINY.sample_rate, "PCM_24")


@pytest.fixture
def without_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)


def mels_alone():
    for folder in ("ref", "gen"):
        Path(folder).mkdir()
        np.save(f"{folder}/x.npy", tiny_mel().numpy())


@pytest.mark.usefixtures("folders", "without_extra")
def test_a_table_and_a_picture(run):
    code, out, err = run(*EVALUATE, "--plot", "figures/dist.png")
    assert code == 0
    assert err.startswith("torchmelinv: note: without PESQ and ESTOI: pesq is needed here")
    assert err.count("\n") == 1
    head, *lines = out.splitlines()
    assert head.split()[-1] == "worst"
    assert [line.split("  ")[0] for line in lines] == [metric.label for metric in METRICS.values()][2:]
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
    assert errors[1:] == ["torchmelinv: error: d: no generated file has this name",
                          "torchmelinv: error: 2 of 4 pairs could not be compared"]


@pytest.mark.usefixtures("folders")
def test_the_report_as_json(run):
    write_audio("gen/lost.wav", tone(), TINY.sample_rate)
    write_audio("ref/silent.wav", torch.zeros(1600), TINY.sample_rate)
    write_audio("gen/silent.wav", tone(), TINY.sample_rate)
    code, out, _ = run(*EVALUATE, "--json")
    report = json.loads(out)
    assert code == 1
    assert (report["scored"], report["failed"], report["reference"], report["convention"]) == (4, 1, "ref", "tiny.json")
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


def test_mels_have_what_mels_tell(run):
    mels_alone()
    code, out, err = run(*EVALUATE)
    assert (code, err) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == ["mel error, dB", "log-mel L1", "MCD, dB"]
    assert out.splitlines()[1].split() == ["mel", "error,", "dB", "lower", "-300.0", "–", "1", "-300.0", "-300.0", "x"]


@pytest.mark.usefixtures("folders", "without_extra")
def test_notes_that_many_share_are_one_line(run):
    for index in range(30):
        write_audio(f"ref/n{index}.wav", tone(0.1), 2 * TINY.sample_rate)
        write_audio(f"gen/n{index}.wav", tone(0.1)[:400], TINY.sample_rate)
        write_audio(f"ref/cut{index}.wav", tone(0.5), TINY.sample_rate)
        write_audio(f"gen/cut{index}.wav", tone(0.5)[: 300 + 80 * index], TINY.sample_rate)
    code, _, err = run(*EVALUATE)
    assert code == 0
    assert "torchmelinv: note: 30 pairs: reference: resampled from 16000 to 8000 Hz\n" in err
    assert "more notes, which --json has" in err
    assert err.count("note: ") == 22


def scored(*values: float) -> list[Scored]:
    scores = [{"mel_error_db": value, "pesq_wb": -value} for value in values]
    return [Scored(Pair(f"name{index}", None, None), each) for index, each in enumerate(scores)]


def test_the_table_fits_the_terminal():
    items = scored(-20.0, -30.0, -25.0)
    widths = {width: table_lines(means(items), items, width) for width in (200, 70, 50, 35, 10)}
    assert all(max(map(len, lines)) <= width for width, lines in widths.items() if width > 10)
    assert widths[200][0].split() == ["better", "mean", "95", "%", "interval", "pairs", "median", "worst"]
    assert widths[200][2].endswith("-20.0  name0")
    assert widths[200][1].endswith("20.00  name0")
    assert widths[10][0].split() == ["better", "mean"]
    assert [len(widths[width][0]) for width in widths] == sorted((len(lines[0]) for lines in widths.values()), reverse=True)


def test_a_metric_without_a_value():
    items = scored(math.inf, math.nan)
    assert all("not defined" in line for line in table_lines(means(items), items, 200)[1:])


@pytest.mark.parametrize(("words", "code", "says"), [
    (["evaluate", *TINY_ONE], 2, "--reference, --generated"),
    (["evaluate", "--reference", "ref", "--generated", "gen"], 2, "--convention"),
    (["evaluate", "--reference", "none", "--generated", "gen", *TINY_ONE], 2, "none does not exist"),
    (["evaluate", "--reference", "ref", "--generated", "speech.wav", *TINY_ONE], 2, "give two folders, or two files"),
    (["evaluate", "--reference", "ref", "--generated", "empty", *TINY_ONE], 2, "no audio or mel file has the same name"),
    ([*EVALUATE, "--plot", "x.jpeg"], 2, "'.jpeg'"), ([*EVALUATE, "--device", "gpu"], 2, "there is no device 'gpu'"),
])
def test_mistakes(run, words, code, says):
    mels_alone()
    Path("empty").mkdir()
    found, out, err = run(*words)
    assert (found, out) == (code, "")
    assert says in err
