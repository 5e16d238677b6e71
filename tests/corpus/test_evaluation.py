"""Scores of pairs and their means: a pair's scores are its own, even beside broken pairs."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus import evaluation
from torchmelinv.corpus.comparison import compare
from torchmelinv.corpus.evaluation import NOT_SYNCHRONOUS, evaluate
from torchmelinv.corpus.pairs import pair_files
from torchmelinv.demo import signal
from torchmelinv.errors import DependencyError, InputError
from torchmelinv.io.audio import write_audio
from torchmelinv.metrics import (
    METRICS,
    OPINION_METRICS,
    aligned_mel_scores,
    aligned_scores,
    alignment,
    bootstrap_mean,
    f0_rmse_cents,
    fundamental_frequency,
    gross_pitch_error,
    mel_scores,
    perceptual_scores,
    voicing_error,
    waveform_scores,
)
from torchmelinv.metrics.fundamental_frequency import find_f0
from torchmelinv.transforms.compression import decompress

ANALYZER = MelSpectrogram(TINY)
DEFAULT = [
    name
    for name in METRICS
    if name.removeprefix("reference_") not in OPINION_METRICS and name != "si_sdr_db"
]


def noisy(waveform: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return waveform + 0.02 * torch.randn(waveform.shape, generator=generator)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Good pairs; a broken, a missing and a silent one; one of another length and rate."""
    monkeypatch.chdir(tmp_path)
    rate = TINY.sample_rate
    for index, seconds in enumerate((0.2, 0.25, 0.31)):
        write_audio(f"ref/good{index}.wav", tone(seconds, index), rate, "FLOAT")
        write_audio(f"gen/good{index}.wav", noisy(tone(seconds, index), index), rate, "FLOAT")
    write_audio("ref/other.wav", torch.stack([tone(0.6, 5)] * 2), 2 * rate, "FLOAT")
    write_audio("gen/other.wav", noisy(tone(0.2, 5)), rate, "FLOAT")
    write_audio("ref/broken.wav", tone(), rate)
    Path("gen/broken.wav").write_bytes(Path("ref/broken.wav").read_bytes()[:900])
    write_audio("ref/missing.wav", tone(), rate)
    write_audio("ref/silent.wav", torch.zeros(1600), rate)
    write_audio("gen/silent.wav", tone(), rate)
    np.save("gen/mel.npy", noisy(tiny_mel()).numpy())
    write_audio("ref/mel.wav", tone(), rate, "FLOAT")


def run(**options):
    """Score all pairs; results by name."""
    scored = evaluate(pair_files("gen", "ref"), TINY, perceptual=False, **options)
    return {each.pair.name: each for each in scored}


def as_floats(scores):
    return {name: float(value) for name, value in scores.items()}


def test_each_pair_has_scores_or_an_error():
    scored = run()
    names = ["broken", "good0", "good1", "good2", "mel", "missing", "other", "silent"]
    assert list(scored) == names
    assert {name for name, each in scored.items() if each.error} == {"broken", "missing"}
    assert "gen/broken.wav is truncated" in scored["broken"].error
    assert scored["missing"].error == "no generated file has this name"
    assert scored["missing"].scores == scored["broken"].scores == {}
    assert scored["good0"].notes == ()
    assert [note.split()[0:2] for note in scored["other"].notes] == [
        ["reference:", "resampled"],
        ["reference:", "2"],
        ["reference:", "trimmed"],
        ["not", "in"],  # the rhythm of the reference, which is three times as long
    ]
    assert all(math.isnan(value) for value in scored["silent"].scores.values())
    assert "silent" in scored["silent"].notes[-1]


def test_scores_are_those_of_the_metrics():
    scored = run()
    pair = noisy(tone(0.25, 1), 1), tone(0.25, 1)
    expected = as_floats(waveform_scores(*pair, ANALYZER))
    si_sdr = expected.pop("si_sdr_db")
    for metric in (f0_rmse_cents, gross_pitch_error, voicing_error):
        expected[metric.__name__] = float(metric(*pair, TINY.sample_rate))
    expected |= aligned_scores(*pair, ANALYZER)
    assert scored["good1"].scores == pytest.approx(expected, abs=1e-5, nan_ok=True)
    with_si_sdr = run(si_sdr=True)["good1"].scores
    assert with_si_sdr == pytest.approx({**expected, "si_sdr_db": si_sdr}, abs=1e-5, nan_ok=True)
    mels = [decompress(mel, TINY.level) for mel in (noisy(tiny_mel()), tiny_mel())]
    expected = as_floats(mel_scores(*mels, TINY)) | aligned_mel_scores(*mels, TINY)
    assert scored["mel"].scores == pytest.approx(expected, abs=1e-5)
    in_order = [name for name in METRICS if name in scored["good1"].scores]
    assert list(scored["good1"].scores) == in_order


def test_the_fundamental_frequency_of_a_pair_is_searched_once(monkeypatch):
    searched = []

    def find(waveform, *args):
        searched.append(waveform.shape[-1])
        return find_f0(waveform, *args)

    for module in (alignment, fundamental_frequency):
        monkeypatch.setattr(module, "find_f0", find)
    pairs = {pair.name: pair for pair in pair_files("gen", "ref")}
    (scored,) = evaluate([pairs["good1"]], TINY, perceptual=False)
    assert searched == [2000, 2000]
    expected = aligned_scores(noisy(tone(0.25, 1), 1), tone(0.25, 1), ANALYZER)
    assert {name: scored.scores[name] for name in expected} == pytest.approx(
        expected, abs=0, rel=0, nan_ok=True
    )
    searched.clear()
    evaluate([pairs["other"]], TINY, perceptual=False)
    assert sorted(searched) == [1600, 1600, 2400]  # the reference is also compared as a whole


@pytest.mark.parametrize("batch", [2, 50])
def test_batching_does_not_matter(batch):
    single, batched = run(batch=1), run(batch=batch)
    assert list(single) == list(batched)
    for name, each in single.items():
        # Sums of longer rows round differently; SI-SDR and the rest are in dB.
        assert batched[name].scores == pytest.approx(each.scores, abs=1e-3, nan_ok=True)
        assert (batched[name].notes, batched[name].error) == (each.notes, each.error)


def test_a_batch_that_does_not_fit_is_scored_pair_by_pair(monkeypatch):
    expected, scores = run(), evaluation._Evaluator._scores

    def scores_of_small_batches(evaluator, batch):
        assert sys.exc_info()[0] is None  # the error of a larger batch would hold its tensors
        if len(batch) > 1 or batch[0].pair.name == "good2":
            raise torch.OutOfMemoryError
        return scores(evaluator, batch)

    monkeypatch.setattr(evaluation._Evaluator, "_scores", scores_of_small_batches)
    scored = run(batch=4)
    assert scored["good2"].error == "not enough memory for this pair"
    assert scored["good0"].scores == expected["good0"].scores


def test_speech_has_pesq_and_estoi():
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    reference = signal(1.0, TINY.sample_rate)
    write_audio("r/x.wav", reference, TINY.sample_rate, "FLOAT")
    write_audio("g/x.wav", noisy(reference), TINY.sample_rate, "FLOAT")
    (scored,) = evaluate(pair_files("g", "r"), TINY)
    expected = perceptual_scores(noisy(reference), reference, TINY.sample_rate)
    assert list(scored.scores) == DEFAULT
    assert {name: scored.scores[name] for name in expected} == pytest.approx(as_floats(expected))
    short_pair = [pair for pair in pair_files("gen", "ref") if pair.name == "good0"]
    (short,) = evaluate(short_pair, TINY)
    assert math.isnan(short.scores["pesq_wb"])
    assert short.notes == ("no finite value of PESQ-WB, ESTOI",)


def test_each_waveform_and_its_recording_have_opinion_scores(monkeypatch):
    np.save("ref/to_mel.npy", tiny_mel().numpy())
    write_audio("gen/to_mel.wav", tone(0.25, 3), TINY.sample_rate, "FLOAT")

    def levels(waveform, sample_rate):
        assert sample_rate == TINY.sample_rate
        return dict.fromkeys(OPINION_METRICS, waveform.square().mean())

    monkeypatch.setattr(evaluation, "OPINION_PACKAGES", ())
    monkeypatch.setattr(evaluation, "opinion_scores", levels)
    scored, without = run(opinion=True, batch=4), run()
    good = scored["good1"].scores
    assert list(good) == [name for name in METRICS if name not in ("pesq_wb", "estoi", "si_sdr_db")]
    both = (noisy(tone(0.25, 1), 1), tone(0.25, 1))
    values = [good["dnsmos"], good["reference_dnsmos"]]
    assert values == pytest.approx([float(each.square().mean()) for each in both])
    of_waveform = scored["to_mel"].scores
    assert of_waveform["plcmos"] == pytest.approx(float(tone(0.25, 3).square().mean()))
    assert not any(name.startswith("reference_") for name in of_waveform)
    assert scored["mel"].scores == without["mel"].scores
    assert math.isnan(scored["silent"].scores["distillmos"])


@pytest.mark.parametrize("package", evaluation.OPINION_PACKAGES)
def test_a_missing_package_of_opinion_scores_is_reported_before_the_work(monkeypatch, package):
    for each in evaluation.OPINION_PACKAGES:
        monkeypatch.setitem(sys.modules, each, math)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=r"torchmelinv\[mos\]"):
        run(opinion=True)


def test_a_missing_extra_is_reported_before_the_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(DependencyError, match=r"torchmelinv\[metrics\]"):
        evaluate(pair_files("gen", "ref"), TINY)


def test_invalid_options_are_refused():
    with pytest.raises(InputError, match="batch is 0"):
        run(batch=0)
    with pytest.raises(InputError, match="did you mean 'device'"):
        run(devise="cpu")


def test_means_are_of_finite_values():
    scored = list(run().values())
    comparison = compare({"gen": scored})
    assert [metric.name for metric in comparison.metrics] == DEFAULT[2:]
    values = [each.scores["mel_error_db"] for each in scored if each.scores]
    assert len(values) == 6
    mean = comparison.summary_of("gen", "mel_error_db")
    assert (mean.mean, mean.low, mean.high, mean.median, mean.n) == bootstrap_mean(values)
    assert (mean.n, comparison.summary_of("gen", "envelope_correlation").n) == (5, 4)


def test_another_rhythm_is_noted_and_aligned():
    """A tone whose pitch falls, and the same 12 % slower."""
    time = torch.arange(8000) / 8000
    sound = (2 * torch.pi * (600 * time - 150 * time**2)).sin()
    slower = time / 1.12
    stretched = (2 * torch.pi * 1.12 * (600 * slower - 150 * slower**2)).sin()
    for folder, each in (("r", sound), ("g", stretched)):
        write_audio(f"{folder}/x.wav", each, TINY.sample_rate, "FLOAT")
    (scored,) = evaluate(pair_files("g", "r"), TINY, perceptual=False)
    assert scored.notes == (NOT_SYNCHRONOUS,)
    assert 20 < scored.scores["misalignment_ms"] < 120
    frame_by_frame = scored.scores["mel_cepstral_distortion_db"]
    assert scored.scores["aligned_mel_cepstral_distortion_db"] < frame_by_frame / 2


def test_silence_is_noted_and_leaves_the_means_finite():
    for name, generated, reference in (("a", 0, 0), ("b", 1, 0), ("c", 0, 1), ("d", 1, 1)):
        write_audio(f"g/{name}.wav", generated * noisy(tone()), TINY.sample_rate)
        write_audio(f"r/{name}.wav", reference * tone(), TINY.sample_rate)
    scored = evaluate(pair_files("g", "r"), TINY, perceptual=False)
    without_reference = ("reference: silent, so no metric is defined",)
    notes = [each.notes for each in scored]
    assert notes == [without_reference, without_reference, ("generated: silent",), ()]
    assert math.isnan(scored[2].scores["f0_rmse_cents"])
    comparison = compare({"gen": scored})
    for mean in comparison.summary:
        if not mean.metric.endswith(("f0_rmse_cents", "gross_pitch_error")):
            assert math.isfinite(mean.mean), mean
            assert mean.n == 2


def test_progress_counts_every_pair_and_its_audio():
    seconds = []
    run(progress=seconds.append)
    assert len(seconds) == 8
    assert sum(seconds) == pytest.approx(0.2 + 0.25 + 0.31 + 3 * 0.2, abs=0.05)


@pytest.mark.gpu
def test_on_a_gpu():
    on_cpu, on_gpu = run(), run(device="cuda")
    for name, each in on_cpu.items():
        assert on_gpu[name].scores == pytest.approx(each.scores, abs=1e-2, nan_ok=True)
