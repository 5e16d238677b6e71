"""A folder of pairs to scores and means: what each gets is its own, whatever is broken beside it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.demo import signal
from torchmelinv.errors import DependencyError
from torchmelinv.files import write_audio
from torchmelinv.jobs import evaluate as job
from torchmelinv.jobs.evaluate import evaluate, means
from torchmelinv.jobs.pairs import pair_up
from torchmelinv.level import expand
from torchmelinv.measure.scores import METRICS, bootstrap_mean, mel_scores, perceptual_scores, waveform_scores

ANALYZER = MelAnalyzer(TINY)


def noisy(waveform: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return waveform + 0.02 * torch.randn(waveform.shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Good pairs, and a broken, a missing, a silent one, and one of another length and rate."""
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
    return {each.pair.name: each for each in evaluate(pair_up("gen", "ref"), TINY, perceptual=False, **options)}


def test_each_pair_is_scored_or_says_why_not():
    found = run()
    assert list(found) == ["broken", "good0", "good1", "good2", "mel", "missing", "other", "silent"]
    assert {name for name, each in found.items() if each.error} == {"broken", "missing"}
    assert "gen/broken.wav is truncated" in found["broken"].error
    assert found["missing"].error == "no generated file has this name"
    assert found["missing"].scores == found["broken"].scores == {}
    assert found["good0"].notes == ()
    assert [note.split()[0:2] for note in found["other"].notes] == [
        ["reference:", "resampled"], ["reference:", "2"], ["reference:", "cut"]]
    assert all(math.isnan(value) for value in found["silent"].scores.values())
    assert "silent" in found["silent"].notes[-1]


def test_scores_are_those_of_the_metrics():
    found = run()
    expected = waveform_scores(noisy(tone(0.25, 1), 1), tone(0.25, 1), ANALYZER)
    assert found["good1"].scores == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-5)
    mels = [expand(mel, TINY.level) for mel in (noisy(tiny_mel()), tiny_mel())]
    expected = {name: float(value) for name, value in mel_scores(*mels, TINY).items()}
    assert found["mel"].scores == pytest.approx(expected, abs=1e-5)
    assert list(found["good1"].scores) == [name for name in METRICS if name in found["good1"].scores]


@pytest.mark.parametrize("batch", [2, 50])
def test_batching_does_not_matter(batch):
    alone, together = run(batch=1), run(batch=batch)
    assert list(alone) == list(together)
    for name, each in alone.items():
        # Sums of longer rows round differently; SI-SDR and the rest are in dB.
        assert together[name].scores == pytest.approx(each.scores, abs=1e-3, nan_ok=True)
        assert (together[name].notes, together[name].error) == (each.notes, each.error)


def test_a_batch_that_does_not_fit_is_taken_apart(monkeypatch):
    expected, scores = run(), job._scores

    def small(batch, *rest):
        assert sys.exc_info()[0] is None  # the error of a larger batch would hold its tensors
        if len(batch) > 1 or batch[0].pair.name == "good2":
            raise torch.OutOfMemoryError
        return scores(batch, *rest)

    monkeypatch.setattr(job, "_scores", small)
    found = run(batch=4)
    assert found["good2"].error == "there was not enough memory for it"
    assert found["good0"].scores == expected["good0"].scores


def test_speech_has_pesq_and_estoi():
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    reference = signal(1.0, TINY.sample_rate)
    write_audio("r/x.wav", reference, TINY.sample_rate, "FLOAT")
    write_audio("g/x.wav", noisy(reference), TINY.sample_rate, "FLOAT")
    (found,) = evaluate(pair_up("g", "r"), TINY)
    expected = perceptual_scores(noisy(reference), reference, TINY.sample_rate)
    assert list(found.scores) == list(METRICS)
    assert {name: found.scores[name] for name in expected} == pytest.approx({name: float(x) for name, x in expected.items()})
    (short,) = evaluate([each for each in pair_up("gen", "ref") if each.name == "good0"], TINY)
    assert math.isnan(short.scores["pesq_wb"])
    assert short.notes == ("no finite PESQ-WB, ESTOI",)


def test_without_the_extra_it_is_said_before_the_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(DependencyError, match=r"torchmelinv\[metrics\]"):
        evaluate(pair_up("gen", "ref"), TINY)


def test_means_are_of_what_is_finite():
    scored = list(run().values())
    found = means(scored)
    assert list(found) == [name for name in METRICS if name not in ("pesq_wb", "estoi")]
    values = [each.scores["mel_error_db"] for each in scored if each.scores]
    assert len(values) == 6
    assert found["mel_error_db"] == bootstrap_mean(values)
    assert (found["mel_error_db"].n, found["si_sdr_db"].n) == (5, 4)
    assert means([]) == {}


def test_progress_counts_every_pair_and_its_audio():
    seconds = []
    run(progress=seconds.append)
    assert len(seconds) == 8
    assert sum(seconds) == pytest.approx(0.2 + 0.25 + 0.31 + 3 * 0.2, abs=0.05)


@pytest.mark.gpu
def test_on_a_gpu():
    alone, there = run(), run(device="cuda")
    for name, each in alone.items():
        assert there[name].scores == pytest.approx(each.scores, abs=1e-2, nan_ok=True)
