"""No figure without a file: the pages' tables are what `benchmarks/results` renders; a file says what was measured and how."""

from __future__ import annotations

import datetime
import json
import platform
import re
from pathlib import Path

import pytest
import torch

import torchmelinv as tmi
from benchmarks import common, joint_forms, mels, rows, scores, tables, targets, transcription
from torchmelinv.demo import signal
from torchmelinv.invert import PHASES
from torchmelinv.joint.mel_consistent import USUAL_METHOD, MelConsistent
from torchmelinv.phase.method import PhaseProblem
from torchmelinv.phase.retrieve import retrieve

SUITES = ("corpus", "cpu", "gradients", "quality", "training")


@pytest.fixture(params=SUITES)
def record(request: pytest.FixtureRequest) -> common.Record:
    return common.load(request.param)


def test_the_pages_show_what_the_files_say():
    shown = set()
    for path in tables.PAGES:
        page = path.read_text(encoding="utf-8")
        assert tables.fill(page) == page
        shown |= {name for _, name, _ in tables.BLOCK.findall(page)}
    assert shown == set(tables.RENDERERS)
    assert {suite for suite, _ in tables.RENDERERS.values() if suite} == set(SUITES)


def test_a_result_names_its_surroundings_and_nothing_private(record: common.Record):
    assert record["suite"] in SUITES
    datetime.date.fromisoformat(record["date"])
    assert set(record["machine"]) == {"cpu", "cores", "threads", "system", "load_before"}
    assert {"python", "torchmelinv", "torch", "torchaudio", "librosa"} <= set(record["versions"])
    text = json.dumps(record)
    assert str(common.ROOT) not in text
    assert platform.node() not in text.split('"')
    assert not re.search(r'"(/|[A-Z]:)', text)  # an absolute path


@pytest.mark.parametrize("suite", ["corpus", "cpu", "gradients"])
def test_no_time_without_a_check(suite: str):
    record = common.load(suite)
    assert record["cases"]
    for case in record["cases"]:
        assert case["checks"]
        assert all(len(runs) == record["repeats"] for runs in case["seconds"].values())
        for peer, times in case["times_faster"].items():
            assert times == pytest.approx(common.ratio(case["seconds"], peer, case["ours"]), abs=1e-3)


def test_every_check_in_a_file_holds():
    quality = common.load("quality")
    assert set(quality["checks"]) == set(quality["finalists"]) == set(mels.CONVENTIONS)
    timed = [case for suite in ("corpus", "cpu", "gradients") for case in common.load(suite)["cases"]]
    for checks in [*(case["checks"] for case in timed), *quality["checks"].values(), common.load("training")["checks"]]:
        assert checks
        for entry in checks:
            common.check(**entry)


def test_every_clip_has_every_score():
    record = common.load("quality")
    assert record["metrics"] == list(scores.METRICS)
    for section in (*record["finalists"].values(), record["field"]):
        assert any(clip.startswith("speech_") for clip in section)
        _check_scores(section)
    for section in (*record["finalists"].values(), record["field"], *record["truth"].values()):
        assert len({frozenset(clip) for clip in section.values()}) == 1
        assert all(rows.row(key).key == key for clip in section.values() for key in clip)


def _check_scores(section: common.Record) -> None:
    for name, clip in section.items():
        for values in clip.values():
            assert len(values) == len(scores.METRICS)
            assert name.startswith("speech_") or values[:2] == [None, None]
            assert all(value is not None for value in (values if name.startswith("speech_") else values[2:]))


def test_the_targets_are_of_the_scores_beside_them():
    record = common.load("quality")
    assert record["targets"] == targets.verdict(record)


def test_a_row_is_its_key():
    everything = [*rows.field(), *rows.truth(), *rows.finalists("hifigan_22k")]
    assert all(rows.row(row.key) == row and row.cost > 0 for row in everything)
    assert len({row.key for row in rows.field()}) == len(rows.field())
    assert {row.method.split("+")[-1] for row in rows.field()} >= set(PHASES)


def test_means_leave_out_what_is_missing():
    assert scores.mean([[1.0, 0.5, -1.0, 0.0, 0.0, 3.0], [2.0, 0.7, -3.0, 0.0, 0.0, 1.0], [3.0, 0.9, -5.0, 0.0, 0.0, 1.0]]) == {
        "pesq_wb": 2.0, "estoi": pytest.approx(0.7), "mel_error_db": -3.0, "log_mel_l1": 0.0, "spectral_convergence_db": 0.0,
        "seconds": 1.0,
    }  # fmt: skip
    assert set(scores.mean([[None, None, -1.0, 0.0, 0.0, 3.0]])) == set(scores.METRICS) - {"pesq_wb", "estoi"}


def test_six_clips_are_spread_over_the_list():
    paths = [Path(str(number)) for number in range(25)]
    assert [int(path.name) for path in mels.spread(paths, 4)] == [3, 9, 15, 21]
    assert mels.spread(paths[:3], 4) == paths[:3]


@pytest.mark.parametrize("name", mels.CONVENTIONS)
def test_a_degraded_mel_is_a_mel_of_its_convention(name: str):
    convention = mels.CONVENTIONS[name]
    mel = mels.analyzer(name)(signal(seconds=0.5, sample_rate=convention.sample_rate))
    for kind in mels.MELS:
        found = mels.degraded(mel, kind, convention, "clip")
        assert found.shape == mel.shape
        assert torch.equal(found, mels.degraded(mel, kind, convention, "clip"))
        assert torch.equal(found, mel) == (kind == "clean")
        assert tmi.MelInverter(convention, n_iter=0)(found).isfinite().all()
    assert not torch.equal(found, mels.degraded(mel, kind, convention, "another clip"))


def test_noise_is_in_nepers_of_magnitude():
    convention = mels.CONVENTIONS["power_80"]
    flat = torch.ones(convention.n_mels, 4000)
    nepers = mels.degraded(flat, "noisy", convention, "clip").log() / 2
    assert float(nepers.std()) == pytest.approx(mels.NOISE, rel=0.01)
    torch.testing.assert_close(mels.degraded(flat, "blurred", convention, "clip"), flat)


def _mel_problem(weight: float) -> tuple[PhaseProblem, torch.Tensor, torch.Tensor]:
    """A mel, the spectrum that it is of, and the problem of that mel, for spectra (1, frames, n_freqs)."""
    analyzer = mels.analyzer("hifigan_22k")
    waveform = signal(seconds=0.3).double()
    waveform = waveform[: analyzer.convention.n_samples(analyzer.convention.n_frames(len(waveform)))]
    spectrum = analyzer.frame.analyse(waveform).mT[None]
    mel = analyzer.filterbank(spectrum[0].abs().mT)
    plan = analyzer.frame.plan(spectrum.shape[1], len(waveform), spectrum.real)
    return PhaseProblem(joint_forms.mel_distance(mel.mT[None], analyzer.filterbank, weight), plan), spectrum, mel


def test_the_published_forms_rest_where_a_signal_has_the_mel():
    problem, spectrum, _ = _mel_problem(joint_forms.PALM_WEIGHT)
    torch.testing.assert_close(problem.impose(spectrum.clone()), spectrum)
    state = joint_forms.PALM.init(problem, spectrum)
    for _ in range(3):
        state = joint_forms.PALM.step(problem, state)
    torch.testing.assert_close(state.spectrum, spectrum)
    torch.testing.assert_close(state.magnitude, spectrum.abs())


def test_the_proximal_step_minimises_what_it_says():
    problem, spectrum, mel = _mel_problem(0.05)
    table = mels.analyzer("hifigan_22k").filterbank.table
    start = spectrum.abs() * 1.3 + 0.1
    found = problem.impose(start.to(spectrum.dtype)).real
    assert (found > 0).all()  # so that the bound at 0 does not take part
    slope = found - start + 0.05 / torch.linalg.matrix_norm(table, 2) ** 2 * (found @ table.T - mel.T) @ table
    assert float(slope.abs().max()) < 1e-9 * float(start.max())


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


@pytest.mark.parametrize("n_iter", [1, 3])
def test_the_transcriptions_are_the_recursions(n_iter: int):
    """What the times of `benchmarks/cpu.py` are checked against; in float64, on a signal with a rumble."""
    convention = tmi.preset("hifigan_22k")
    analyzer, n_samples = tmi.MelAnalyzer(convention), convention.n_samples(30)
    waveform = signal(sample_rate=22050)[:n_samples].double()
    mel = analyzer.linear(waveform + 0.05 * torch.linspace(0, 6, n_samples, dtype=torch.float64).sin())
    magnitude = tmi.functional.entropic(mel, analyzer.filterbank)
    angles = 2 * torch.pi * torch.rand_like(magnitude)
    arrays = [each.numpy() for each in (mel, magnitude, angles)]
    joint = MelConsistent().wanted(mel, analyzer.filterbank, convention)
    found = retrieve(USUAL_METHOD, magnitude, convention, n_iter, start=angles, wanted=joint).waveform
    expected = torch.from_numpy(transcription.mel_consistent_by_hand(*arrays, convention, n_iter))
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)  # librosa's filters are float32
    found = tmi.functional.fast_griffin_lim(magnitude, convention, n_iter, start=angles)
    expected = torch.from_numpy(transcription.fast_griffin_lim_by_hand(arrays[1], arrays[2], convention, n_iter, 0.99))
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


CONVENTIONS = tuple(common.load("quality")["finalists"])


def _of(convention: str, mel: str, method: str, start: str, n_iter: int) -> dict[str, float]:
    section = common.load("quality")["finalists"][convention]
    return targets.speech_mean(section, rows.Row(mel, method, start, n_iter))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_the_readme_says_of_the_default_holds(convention: str):
    """Closer than every cascade and peer after 32 and 100 iterations; after 10, than the cascade after 100."""
    for mel in mels.MELS:
        for n_iter in (32, 100):
            ours = _of(convention, mel, "mel_consistent", "pghi", n_iter)
            others = ("entropic+fast_griffin_lim", "librosa", "torchaudio")
            rivals = [*((method, "random", n) for method in others for n in (n_iter, 32)), ("entropic+raar", "pghi", n_iter)]
            found = [_of(convention, mel, *rival) for rival in rivals]
            theirs = [each for each in found if each]
            assert len(theirs) >= 2
            assert all(ours["pesq_wb"] > each["pesq_wb"] for each in theirs), (mel, n_iter)
            assert mel != "clean" or all(ours["mel_error_db"] < each["mel_error_db"] for each in theirs), n_iter
    quick, cascade = (_of(convention, "clean", *which) for which in (
        ("mel_consistent", "pghi", 10), ("entropic+fast_griffin_lim", "random", 100)))
    assert quick["pesq_wb"] > cascade["pesq_wb"]
    assert quick["mel_error_db"] < cascade["mel_error_db"]


def test_what_the_readme_says_of_starts_and_phases_holds():
    record = common.load("quality")
    which = [rows.Row("clean", "mel_consistent", *each) for each in (("spsi", 32), ("pghi", 10))]
    field = [targets.speech_mean(record["field"], row) for row in which]
    assert field[0]["pesq_wb"] == pytest.approx(field[1]["pesq_wb"], abs=0.05)
    assert field[0]["mel_error_db"] == pytest.approx(field[1]["mel_error_db"], abs=1.0)
    for section in record["truth"].values():
        best = min(targets.true_rows(section), key=lambda row: targets.true_mean(section, row))
        assert (best.method, best.start, best.n_iter) == ("true+raar", "pghi", 100)
