"""Timing, checks and recordings of the benchmarks, and their transcriptions of recursions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

import torchmelinv as tmi
from benchmarks import measurement, recordings, records, transcription
from torchmelinv.demo import signal
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.phases import FastGriffinLim, MelConsistent


def test_runs_alternate_after_a_warm_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(measurement, "SECONDS_OF_A_RUN", 1e-9)
    order: list[str] = []
    functions = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds, rounds = measurement.alternate(functions, repeats=3, patience=0)
    assert "".join(order) == "aabb" * 3
    assert {name: len(runs) for name, runs in seconds.items()} == {"a": 3, "b": 3}
    assert rounds["discarded"] == 0


def test_a_disturbed_round_is_repeated(monkeypatch: pytest.MonkeyPatch):
    loads = iter([0.0, 0.4, 0.02])

    def background_load(function: Callable[[], object]) -> float:
        function()
        return next(loads)

    monkeypatch.setattr(measurement, "SECONDS_OF_A_RUN", 1e-9)
    monkeypatch.setattr(measurement, "background_load", background_load)
    monkeypatch.setattr(measurement.time, "sleep", lambda _: None)
    order: list[str] = []
    functions = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds, rounds = measurement.alternate(functions, repeats=2)
    assert "".join(order) == "aabb" * 3
    assert {name: len(runs) for name, runs in seconds.items()} == {"a": 2, "b": 2}
    assert rounds == {"discarded": 1, "background_load": 0.02}


def test_ratios_compare_medians():
    seconds = {"peer": [9.0, 6.0, 5.0], "ours": [2.0, 1.0, 40.0]}
    assert measurement.ratio(seconds, "peer", "ours") == 3.0
    assert measurement.ratios(seconds, "ours") == {"peer": 3.0}


def test_saved_bytes_count_each_storage_once():
    x = torch.ones(1000, requires_grad=True)
    assert measurement.saved_bytes(lambda: x.exp()) == 4000
    assert measurement.saved_bytes(lambda: x * x) == 4000
    assert measurement.saved_bytes(lambda: x + x) == 0


@pytest.mark.parametrize(
    ("value", "limit"), [(2.0, {"at_most": 1}), (0.0, {"at_least": 1}), (math.nan, {"at_most": 1})]
)
def test_a_failed_check_stops_the_run(value: float, limit: dict[str, float]):
    with pytest.raises(records.CheckFailed, match="residual"):
        records.check("residual", value, **limit)


def test_without_recordings_speech_is_synthetic(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recordings, "AUDIO", tmp_path)
    waveform, source = recordings.speech(2, 40_000, 22050)
    assert waveform.shape == (2, 40_000)
    assert "synthetic" in source


@pytest.mark.parametrize("n_iter", [1, 3])
def test_the_transcriptions_equal_our_recursions(n_iter: int):
    """In float64, on a signal with a rumble. The CPU benchmark checks against them."""
    convention = tmi.preset("hifigan_22k")
    analysis, n_samples = tmi.MelSpectrogram(convention), convention.n_samples(30)
    rumble = 0.05 * torch.linspace(0, 6, n_samples, dtype=torch.float64).sin()
    mel = analysis.linear_mel(signal(sample_rate=22050)[:n_samples].double() + rumble)
    magnitude = entropic(mel, analysis.filterbank)
    angles = 2 * torch.pi * torch.rand_like(magnitude)
    arrays = [each.numpy() for each in (mel, magnitude, angles)]

    linear_mel = LinearMel(mel, analysis.filterbank, convention)
    result = reconstruct(
        MelConsistent(), magnitude, analysis.stft, n_iter, init=angles, mel=linear_mel
    ).waveform
    expected = torch.from_numpy(transcription.mel_consistent(*arrays, convention, n_iter))
    # librosa's filters are float32
    atol = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(result, expected, atol=atol, rtol=0)

    result = magnitude_to_waveform(magnitude, convention, FastGriffinLim(), n_iter, init=angles)
    expected = transcription.fast_griffin_lim(*arrays[1:], convention, n_iter, 0.99)
    torch.testing.assert_close(result, torch.from_numpy(expected), atol=1e-8, rtol=0)
