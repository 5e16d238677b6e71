"""`torchmelinv evaluate`: tables, figures, reports, notes and errors."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, TINY_ONE, console, tiny_mel, tone, workplace  # noqa: F401
from torchmelinv.cli.comparison_table import format_comparison
from torchmelinv.cli.evaluate import named_systems
from torchmelinv.corpus import evaluation
from torchmelinv.corpus.comparison import compare
from torchmelinv.corpus.evaluation import ScoredPair
from torchmelinv.corpus.pairs import Pair
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
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
    assert err.splitlines()[1:] == ["torchmelinv: note: written: figures/dist.png"]
    heading, *lines = out.splitlines()
    assert heading.split()[-1] == "worst"
    names = [name for name in METRICS if name.removeprefix("reference_") not in OPINION_METRICS]
    names = [name for name in names[2:] if name != "si_sdr_db"]
    assert [line.split("  ")[0][:-2] for line in lines] == [METRICS[name].label for name in names]
    (line,) = (line for line in lines if line.startswith("spectral convergence, dB ↓"))
    assert line.split()[-1] == "c"
    assert Path("figures/dist.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("folders", "without_extra")
@pytest.mark.parametrize("option", ["--html", "--inverted-reference"])
@pytest.mark.parametrize("folder", ["gen", "ref"])
def test_folders_with_files_to_compare_take_no_others(run, option, folder):
    before = sorted(Path().rglob("*"))
    code, _, err = run(*EVALUATE, option, folder)
    assert code == 2
    assert "give" in err
    assert "a new folder" in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.usefixtures("folders", "without_extra")
def test_missing_and_broken_pairs_are_listed(run):
    Path("gen/c.flac").write_text("hello")
    for index in range(5):
        write_audio(f"ref/d{index}.wav", tone(), TINY.sample_rate)
    code, out, err = run(*EVALUATE)
    assert code == 1
    assert "  2  " in out.splitlines()[1]
    absent = "warning: 5 names have no generated file and no scores: d0, d1, d2, …\n"
    assert err.count("d1") == err.count(absent) == 1
    errors = [line for line in err.splitlines() if "error" in line]
    assert errors[0].startswith("torchmelinv: error: c: gen/c.flac cannot be read as audio")
    assert errors[1:] == ["torchmelinv: error: 1 of 8 pairs could not be compared"]


@pytest.mark.usefixtures("folders", "without_extra")
def test_absent_files_are_no_failure(run):
    write_audio("ref/d.wav", tone(), TINY.sample_rate)
    write_audio("gen/e.wav", tone(), TINY.sample_rate)
    code, _, err = run(*EVALUATE)
    assert code == 0
    assert err.splitlines()[1:] == [
        "torchmelinv: warning: 1 name has no generated file and no scores: d",
        "torchmelinv: warning: 1 name has no reference file and no scores: e",
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
    scores = json.loads(out)["items"][0]["scores"]["gen"]
    for prefix, waveform in (("", generated), ("reference_", reference)):
        for name, value in opinion_scores(waveform, TINY.sample_rate).items():
            assert scores[f"{prefix}{name}"] == pytest.approx(float(value), abs=1e-3)


def test_opinion_scores_stand_beside_those_of_the_reference():
    scored = [ScoredPair(Pair("a", None, None), {"dnsmos": 3.2, "reference_dnsmos": 3.1})]
    lines = format_comparison(compare({"gen": scored}), 200)
    assert [line.split("  ")[0] for line in lines[1:]] == ["DNSMOS ↑", "DNSMOS of reference ↑"]
    assert [line.split("↑")[1].split()[0] for line in lines[1:]] == ["3.20", "3.10"]


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
    assert code == 0
    counts = {"scored": 4, "failed": 0, "no_generated": 0, "no_reference": 1}
    assert report["systems"] == [{"name": "gen", **counts}]
    assert (report["reference"], report["convention"]) == ("ref", "tiny.json")
    items = {item["name"]: item for item in report["items"]}
    assert list(items) == ["a", "c", "deep/b", "silent"]
    assert (items["a"]["generated"], items["a"]["reference"]) == (
        {"gen": "gen/a.flac"},
        "ref/a.wav",
    )
    assert items["silent"]["scores"]["gen"]["mel_error_db"] is None
    assert "silent" in items["silent"]["notes"]["gen"][-1]
    (mean,) = (each for each in report["means"] if each["metric"] == "mel_error_db")
    values = [items[name]["scores"]["gen"]["mel_error_db"] for name in ("a", "c", "deep/b")]
    assert mean["mean"] == pytest.approx(sum(values) / 3)
    assert mean["low"] <= mean["mean"] <= mean["high"]
    assert (mean["n"], mean["system"]) == (3, "gen")
    (metric,) = (each for each in report["metrics"] if each["name"] == "mel_error_db")
    assert (metric["unit"], metric["higher_is_better"]) == ("dB", False)
    assert report["differences"] == []
    assert report["interval"] == "percentiles 2.5 and 97.5 of 2000 bootstrap means, seed 0"
    assert run(*EVALUATE, "--json")[1] == out


SYSTEMS = ["evaluate", "--reference", "ref", "--generated", "gen", *TINY_ONE]


@pytest.fixture
def second_system(folders):
    for index, name in enumerate(("a", "c")):
        generated = tone(0.2, 2 * index) + 0.1 * torch.randn(1600)
        write_audio(f"second/{name}.wav", generated, TINY.sample_rate, "FLOAT")


@pytest.mark.usefixtures("second_system", "without_extra")
def test_several_systems(run):
    arguments = [*SYSTEMS, "--generated", "noisy=second"]
    code, out, err = run(*arguments)
    assert code == 0
    assert "warning: noisy: 1 name has no generated file and no scores: deep/b" in err
    heading, first, second, *_ = out.splitlines()
    assert heading.split()[:2] == ["system", "mean"]
    assert "minus gen" in heading
    assert first.startswith("mel error, dB ↓")
    assert second.split()[0] == "noisy"
    assert second.rstrip().endswith("*", 0, second.index("*") + 1)
    report = json.loads(run(*arguments, "--json", "--csv", "out/scores.csv")[1])
    scores = {item["name"]: item["scores"] for item in report["items"]}
    differences = {each["metric"]: each for each in report["differences"]}
    each = differences["mel_error_db"]
    values = [
        scores[name]["gen"]["mel_error_db"] - scores[name]["noisy"]["mel_error_db"]
        for name in ("a", "c")
    ]
    assert (each["system"], each["other"], each["n"]) == ("gen", "noisy", 2)
    assert each["mean"] == pytest.approx(sum(values) / 2)
    with open("out/scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["system"]) for row in rows] == [
        (name, system) for name in ("a", "c", "deep/b") for system in ("gen", "noisy")
    ]
    assert float(rows[1]["mel_error_db"]) == scores["a"]["noisy"]["mel_error_db"]
    assert (rows[-1]["generated"], rows[-1]["mel_error_db"]) == ("", "")


@pytest.mark.usefixtures("second_system", "without_extra")
def test_scores_are_kept_and_ranks_share_them(run, monkeypatch):
    arguments = [*SYSTEMS, "--generated", "second", "--scores", "scores"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "give --scores DIR" in run(*arguments[:-2])[2]
    for rank, expected in ((0, 3), (1, 2)):
        monkeypatch.setenv("RANK", str(rank))
        code, out, _ = run(*arguments)
        assert (code, out) == (0, f"rank {rank} of 2: {expected} pairs scored in scores\n")
    monkeypatch.delenv("WORLD_SIZE")
    alone = run(*arguments[:-2])[1]

    def fail(*_):
        raise AssertionError("a pair is scored twice")

    monkeypatch.setattr(evaluation._Evaluator, "score", fail)
    assert run(*arguments)[1] == alone


@pytest.mark.usefixtures("folders", "without_extra")
def test_the_inverted_references_are_a_system(run):
    code, out, _ = run(*EVALUATE, "--inverted-reference", "inverted", "--json")
    report = json.loads(out)
    assert code == 0
    assert [each["name"] for each in report["systems"]] == ["gen", "inverted reference"]
    files = {item["generated"]["inverted reference"] for item in report["items"]}
    assert files == {"inverted/a.wav", "inverted/c.wav", "inverted/deep/b.wav"}
    written = Path("inverted/a.wav").stat().st_mtime_ns
    assert json.loads(run(*EVALUATE, "--inverted-reference", "inverted", "--json")[1]) == report
    assert Path("inverted/a.wav").stat().st_mtime_ns == written


def test_the_glossary_needs_no_files(run):
    code, out, _ = run("evaluate", "--glossary")
    assert code == 0
    assert out.count("\n    ") >= 2 * len([n for n in METRICS if not n.startswith("reference_")])
    assert "MCD, dB ↓  (mel_cepstral_distortion_db)" in out


def test_names_of_systems(tmp_path):
    assert named_systems(["a/b/", "x=a/b", "c"]) == {"b": "a/b/", "x": "a/b", "c": "c"}
    Path("k=v").mkdir()
    assert named_systems(["k=v", "z=k=v"]) == {"k=v": "k=v", "z": "k=v"}
    with pytest.raises(InputError, match="two systems have the name 'gen'"):
        named_systems(["a/gen", "b/gen"])


def test_two_mels_have_the_metrics_of_mels(run):
    save_mels()
    code, out, err = run(*EVALUATE)
    assert (code, err) == (0, "")
    lines = out.splitlines()[1:]
    names = ["mel_error_db", "log_mel_l1", "mel_cepstral_distortion_db"]
    names += ["aligned_mel_cepstral_distortion_db", "misalignment_ms", "smoothness"]
    assert [line.split("  ")[0][:-2] for line in lines] == [METRICS[name].label for name in names]
    cells = lines[0].removeprefix("mel error, dB ↓").split()
    assert cells == ["-300.0", "–", "1", "-300.0", "-300.0", "x"]


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
    assert err.count("note: ") == 21
    assert err.count("warning: ") == 1  # of files that differ in length


def scored_pairs(*values: float) -> list[ScoredPair]:
    scores = [{"mel_error_db": value, "pesq_wb": -value} for value in values]
    return [ScoredPair(Pair(f"name{index}", None, None), each) for index, each in enumerate(scores)]


def test_the_table_fits_the_terminal():
    comparison = compare({"gen": scored_pairs(-20.0, -30.0, -25.0)})
    tables = {width: format_comparison(comparison, width) for width in (200, 60, 50, 45, 10)}
    for width, lines in tables.items():
        assert max(map(len, lines)) <= width or width == 10
    headings = tables[200][0].split()
    assert headings == ["mean", "95", "%", "interval", "pairs", "median", "worst"]
    assert tables[200][2].endswith("-20.0  name0")
    assert tables[200][1].endswith("20.00  name0")
    assert tables[10][0].split() == ["mean", "95", "%", "interval", "pairs"]
    lengths = [len(lines[0]) for lines in tables.values()]
    assert lengths == sorted(lengths, reverse=True)


def test_a_metric_without_a_value():
    lines = format_comparison(compare({"gen": scored_pairs(math.inf, math.nan)}), 200)
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
