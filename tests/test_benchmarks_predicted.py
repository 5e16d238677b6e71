"""Mels, methods, scores, bounds and the picture of the benchmark of predicted mels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels, predicted, predicted_bounds, predicted_recordings, records
from benchmarks.predicted_material import METHODS, MODELS, OPTIONS, restored_mel, sentences
from benchmarks.recordings import clips
from tests.shared import needs_audio, needs_predicted
from torchmelinv.metrics import OPINION_METRICS
from torchmelinv.restoration import smoothness

N_FRAMES = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the mel of noise in a convention like that of the models."""
    settings = {"sample_rate": 16000, "n_fft": 512, "hop_length": 128, "win_length": 400}
    settings |= {"padding": "center_reflect", "n_mels": 40, "f_min": 80, "f_max": 7600, "power": 1}
    level = {"log": "log10", "floor": 1e-10, "band_mean": [-1.0] * 40, "band_scale": [0.5] * 40}
    plain = tmi.MelConvention(**settings, level=tmi.Compression(**level))
    waveform = 0.1 * torch.randn(128 * (N_FRAMES - 1), generator=torch.Generator().manual_seed(0))
    np.savez(
        tmp_path / "tacotron_00.npz",
        mel=tmi.MelSpectrogram(plain)(waveform).T.numpy(),
        native=(waveform * 2**15).round().short().numpy(),
        config=json.dumps({**settings, **level}),
    )
    return tmp_path


def test_every_method_inverts_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predicted, "opinion_scores", lambda *_: dict.fromkeys(OPINION_METRICS, 3.0))
    monkeypatch.setattr(predicted, "dnsmos", lambda waveform, _: waveform.square().mean().sqrt())
    (sentence,) = sentences(folder)
    assert MODELS[sentence.model] == "Tacotron 2"
    assert sentence.mel.shape == (40, N_FRAMES)
    scores = predicted.measure([sentence])["tacotron_00"]["scores"]
    assert list(scores) == list(METHODS)
    level = float(sentence.native.square().mean().sqrt())
    for name, values in scores.items():
        assert values["distillmos"] == 3.0
        assert values["mel_error_db"] < -10 or name in ("contrast", "unsharp_mask"), name
        assert ("dnsmos_at_level" in values) == (name in predicted.LEVELED)
        assert values.get("dnsmos_at_level", level) == pytest.approx(level, rel=1e-3)
    # The noise was not smoothed: the default does not restore it.
    different = ("distillmos", "seconds_per_second")
    exact, default = (
        {key: value for key, value in scores[name].items() if key not in different}
        for name in ("exact", "default")
    )
    assert default == exact


def test_only_restorations_change_the_mel(folder: Path):
    (sentence,) = sentences(folder)
    given = restored_mel("exact", sentence)
    changed = {name for name in METHODS if not torch.equal(restored_mel(name, sentence), given)}
    assert changed == {"contrast", "unsharp_mask"} <= set(OPTIONS)


def test_waveforms_and_picture(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    todo = sentences(folder)
    predicted.save_waveforms(todo, tmp_path / "sounds")
    names = {path.stem for path in (tmp_path / "sounds").iterdir()}
    assert names == {f"tacotron_00_{name}" for name in METHODS}
    monkeypatch.setattr(predicted, "FIGURE", tmp_path / "predicted.png")
    predicted.save_figure(todo[0])
    assert predicted.FIGURE.stat().st_size > 1000


@needs_predicted
def test_the_models_mels_are_smooth():
    found = sentences()
    assert {sentence.model for sentence in found} == set(MODELS)
    for sentence in found:
        assert float(smoothness(sentence.mel, sentence.convention).strength) > 0.5


@needs_audio
def test_a_recording_is_scored_with_and_without_restoration(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pesq")
    kinds = {name: predicted_recordings.MELS[name] for name in ("clean", "blurred 0.7")}
    monkeypatch.setattr(predicted_recordings, "MELS", kinds)
    monkeypatch.setattr(mels, "SECONDS", 1.5)
    result = predicted_recordings.measure_clip(clips(["speech"])[0], with_opinion=False)
    assert result["clean"]["difference"] == 0
    assert result["clean"]["auto"] == result["clean"]["none"]
    blurred = result["blurred 0.7"]
    assert blurred["difference"] > 0
    assert blurred["auto"]["pesq_wb"] > blurred["none"]["pesq_wb"]
    assert blurred["auto"]["mel_error_db"] > blurred["none"]["mel_error_db"]


def test_the_file_has_every_score_and_its_bounds():
    record = records.load("predicted")
    assert record["targets"] == predicted_bounds.evaluate(record)
    for sentence in record["sentences"].values():
        assert sentence["model"] in MODELS.values()
        assert list(sentence["scores"]) == list(METHODS)
        assert all(set(OPINION_METRICS) <= set(each) for each in sentence["scores"].values())
    scored = [clip for clip in record["speech"].values() if "recording" in clip]
    assert len(scored) == predicted_recordings.N_OPINIONS
    for clip in record["speech"].values():
        for name in predicted_recordings.MELS:
            assert set(clip[name]["none"]) == set(clip[name]["auto"])
            assert ("distillmos" in clip[name]["auto"]) == ("recording" in clip)
