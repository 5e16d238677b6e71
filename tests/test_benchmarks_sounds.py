"""Sounds, mels, bounds, tables and the picture of the sounds benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import torchmelinv as tmi
from benchmarks import mels, records, sounds, sounds_bounds, sounds_figure, sounds_methods
from benchmarks.sounds import METHODS, Case
from benchmarks.sounds_figure import Panel
from benchmarks.sounds_material import LEVEL, SOUNDS, pink_noise, swelling_hiss, vowel, white_noise
from tests.shared import needs_audio
from torchmelinv.metrics import SOUND_METRICS
from torchmelinv.phase import PHASES

HIFIGAN = tmi.preset("hifigan_22k")


def test_every_sound_has_known_measures_and_mels():
    for case in sounds.cases():
        assert set(case.sound.measures) <= set(SOUND_METRICS)
        assert case.convention in tmi.preset_names()
    assert len(set(sounds.cases())) == len(list(sounds.cases()))


@pytest.mark.parametrize("make", [white_noise, pink_noise, vowel])
def test_synthetic_sounds_have_a_level_and_stay_within_the_filters(make):
    waveform = make(HIFIGAN, 0.5)
    assert float(waveform.square().mean().sqrt()) == pytest.approx(LEVEL, rel=1e-3)
    energy = torch.fft.rfft(waveform).abs().square()
    above = energy[round(len(energy) * HIFIGAN.f_max / 11025) + 2 :].sum() / energy.sum()
    assert above < 1e-3
    assert torch.equal(waveform, make(HIFIGAN, 0.5))


def test_pink_noise_has_equal_octaves_and_the_hiss_swells():
    energy = torch.fft.rfft(pink_noise(HIFIGAN, 2.0)).abs().square()
    octaves = [float(energy[2 * low : 4 * low].sum()) for low in (500, 1000, 2000)]
    assert max(octaves) / min(octaves) < 1.2
    parts = swelling_hiss(HIFIGAN, 0.9).square().unflatten(0, (3, -1)).mean(-1)
    assert parts[1] > 4 * parts[0]
    assert parts[1] > 4 * parts[2]


@needs_audio
@pytest.mark.parametrize("name", ["fricatives", "drums", "stereo_strings"])
def test_recorded_sounds(name):
    sound = SOUNDS[name]
    convention = tmi.preset(sound.conventions[0])
    waveform = sound.make(convention, 0.4)
    assert waveform.shape[-1] == pytest.approx(0.4 * convention.sample_rate, abs=2)
    assert waveform.ndim == (2 if name.startswith("stereo") else 1)
    assert waveform.any()


def test_mels_are_flat_blurred_or_from_mfccs():
    mel = tmi.MelSpectrogram(HIFIGAN)(white_noise(HIFIGAN, 0.3))
    kinds = dict.fromkeys(kind for s in SOUNDS.values() for kind in (*s.mels, *s.degraded))
    results = {kind: sounds.degraded(mel, kind, HIFIGAN) for kind in kinds}
    assert torch.equal(results["clean"], mel)
    assert float(results["flat"].std(-1).max()) < 1e-5
    assert torch.equal(results["blurred 0.7"], mels.degrade(mel, "blurred", HIFIGAN))
    # Each smoothing leaves less of the variation than the one before.
    names = ("clean", "blurred 0.7", "blurred 1.5")
    spreads = [float(results[kind].diff(dim=-2).std()) for kind in names]
    assert spreads == sorted(spreads, reverse=True)
    assert results["MFCC 13"].diff(dim=-2).std() < results["MFCC 20"].diff(dim=-2).std()


def test_a_stereo_mel_is_blurred_by_channel():
    mel = tmi.MelSpectrogram(HIFIGAN)(torch.randn(2, 4096))
    both = mels.degrade(mel, "blurred", HIFIGAN, blur=1.5)
    floor = float(mel.max())
    assert both.shape == mel.shape
    loud = mel + (floor - mel.amax((-2, -1), keepdim=True))  # both have the same floor
    each = torch.stack([mels.degrade(one, "blurred", HIFIGAN, blur=1.5) for one in loud])
    torch.testing.assert_close(mels.degrade(loud, "blurred", HIFIGAN, blur=1.5), each)


def test_each_method_inverts_mono_and_stereo():
    waveform = white_noise(HIFIGAN, 0.2)[: 16 * 256]
    mel = tmi.MelSpectrogram(HIFIGAN)(waveform)
    case = Case("white_noise", "hifigan_22k", "clean")
    for name in METHODS:
        invert = sounds.method(name, "hifigan_22k")
        result = invert(mel)
        assert list(sounds.score(case, result, waveform)) == list(case.sound.measures)
        stereo = invert(torch.stack([mel, mel]))
        assert stereo.shape == (2, len(waveform))


def test_every_phase_method_and_initial_phase_is_measured():
    keys = [row.key for row in sounds_methods.compared()]
    for name, measures in sounds_methods.MEASURES.items():
        assert set(measures) <= set(SOUNDS[name].measures)
        by_method = records.load("sounds")["all_methods"][name]
        assert list(by_method) == keys
        assert all(list(values) == list(measures) for values in by_method.values())
    methods = {row.method.split("+")[-1] for row in sounds_methods.compared()}
    assert methods >= set(PHASES)


def test_bounds_are_evaluated_again_from_the_file():
    record = records.load("sounds")
    assert record["checks"] == sounds_bounds.evaluate(record["results"], record["presets"])
    assert list(record["results"]) == list(SOUNDS)
    for entry in record["checks"]:
        assert set(entry) == {"what", "value", "bound", "reached"}
        assert entry["reached"] == (entry["value"] <= entry["bound"])


def test_the_picture_shows_earlier_waveforms(tmp_path: Path):
    waveform = white_noise(HIFIGAN, 0.2)
    panels = {"noise": Panel("noise", 22050, waveform, 0.5 * waveform)}
    assert len(sounds_figure.draw(panels, None).axes) == 2
    sounds_figure.save_results(panels, tmp_path)
    figure = sounds_figure.draw(panels, tmp_path)
    images = [axis.images[0].get_array() for axis in figure.axes]
    assert len(images) == 3
    assert (images[1] == images[2]).all()
