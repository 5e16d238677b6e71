"""Each kind of evidence by itself: what a convention can give, what its floor leaves behind, how deep and loud a recording is."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.evidence import FITS, IMPOSSIBLE, POSSIBLE, UNLIKELY, Values, bounds, decibels_per_unit, judge, kept_range
from torchmelinv.presets import preset, preset_names

SMALL = (
    "hifigan_22k", "vits_22k", "melgan", "whisper_80",
    "coqui_default", "styletts2_kokoro", "kaldi_fbank", "librosa_melspectrogram",
)


def waveforms(n_samples):
    """What comes near the bounds: full-scale squares, tones, noise and impulses, and silence."""
    time = torch.arange(n_samples)
    tones = [torch.sin(time * frequency) for frequency in (0.01, 0.1, 0.5, 1.0, 3.0)]
    noise = 2 * torch.rand(n_samples) - 1
    impulse = torch.zeros(n_samples).index_fill(0, torch.tensor(n_samples // 2), 1.0)
    return torch.stack([*tones, *(tone.sign() for tone in tones), noise, noise.sign(), impulse, torch.zeros(n_samples)])


def looked_at(mel):
    return Values(mel.double().reshape(-1, *mel.shape[-2:]), torch.finfo(torch.float32).eps)


@pytest.mark.parametrize("name", SMALL)
def test_no_waveform_leaves_the_bounds(name):
    convention = preset(name)
    low, high = bounds(convention.replace(level=convention.level.replace(clip=None)))
    mel = MelAnalyzer(convention)(waveforms(8 * convention.n_fft)).double()
    assert (mel >= low - 1e-4).all()
    assert (mel <= high + 1e-4).all()


@pytest.mark.parametrize("name", SMALL)
def test_silence_stands_at_the_lower_bound(name):
    convention = preset(name)
    silence = MelAnalyzer(convention)(torch.zeros(8 * convention.n_fft))
    if convention.level.dynamic_range is None:
        assert torch.allclose(silence.double(), bounds(convention)[0], atol=2e-4)


@pytest.mark.parametrize("name", [name for name in preset_names() if preset(name).level.log])
def test_decibels_per_unit_measures_a_gain_of_ten(name):
    convention = preset(name).replace(magnitude_offset=0, magnitude_floor=0, n_fft=512, win_length=512, padding="none")
    level = convention.level.replace(clip=None, floor=1e-30, offset=0, reference_max=False, dynamic_range=None)
    analyzer = MelAnalyzer(convention.replace(level=level))
    loud = 0.5 * torch.randn(2048, dtype=torch.float64)
    difference = analyzer(loud) - analyzer(0.1 * loud)
    heard = analyzer.filterbank.table.sum(1) > 0
    assert torch.allclose(difference[heard] * decibels_per_unit(convention), torch.tensor(20.0, dtype=torch.float64), atol=0.01)


def test_kept_range_is_in_the_units_of_the_values():
    assert kept_range(preset("whisper_80")) == 2
    assert kept_range(preset("hifigan_22k")) == math.inf


def spread(convention, deepest_db=100.0):
    """A mel with the depth and loudness of a recording, over many levels, no two entries equal."""
    low, high = bounds(convention)
    unit = decibels_per_unit(convention)
    depth = torch.linspace(15, deepest_db, convention.n_mels * 50, dtype=torch.float64)
    depth = depth[torch.randperm(len(depth))].reshape(convention.n_mels, 50)
    return torch.maximum(high - depth / unit, low + 1e-3)


@pytest.mark.parametrize("name", ["hifigan_22k", "speecht5", "styletts2_kokoro", "clap_laion_fusion"])
def test_a_recording_without_a_floor_is_possible(name):
    verdict, reason, _ = judge(looked_at(spread(preset(name))), preset(name))
    assert verdict == POSSIBLE
    assert "15 dB below full scale" in reason


@pytest.mark.parametrize(("change", "verdict", "says"), [
    (lambda mel: mel, POSSIBLE, "would peak 15 dB"),
    (lambda mel: mel.clamp(min=math.log(1e-5) + 5), UNLIKELY, "this preset's floor is -11.5129"),
    (lambda mel: mel - 5, IMPOSSIBLE, "below -11.513, the lowest value"),
    (lambda mel: mel + 5, IMPOSSIBLE, "beyond what a waveform in"),
    (lambda mel: mel * math.log10(math.e) - 1, UNLIKELY, "unlike recordings"),  # log10
    (lambda mel: mel.exp(), UNLIKELY, "crowded at the low end"),  # linear
    (lambda mel: torch.where(mel < -9, math.log(1e-5), mel), FITS, "-11.5129, this preset's floor"),
])
def test_each_kind_of_evidence(change, verdict, says):
    convention = preset("hifigan_22k")
    found, reason, _ = judge(looked_at(change(spread(convention, 95))), convention)
    assert (found, says in reason) == (verdict, True), reason


@pytest.mark.parametrize(("name", "mel", "verdict", "says"), [
    ("librosa_melspectrogram", torch.rand(128, 40) - 0.5, IMPOSSIBLE, "never negative"),
    ("whisper_80", torch.linspace(-1.4, 1.4, 80 * 40).reshape(80, 40), IMPOSSIBLE, "keeps 2 below the peak"),
    ("whisper_80", torch.linspace(-1, 1, 80 * 40).reshape(80, 40), FITS, "spans exactly the 2"),
    ("wavernn_fatchord", torch.linspace(0, 3, 80 * 40).reshape(80, 40), IMPOSSIBLE, "leaves the clip of 0 … 1"),
])
def test_evidence_of_particular_levels(name, mel, verdict, says):
    found, reason, _ = judge(looked_at(mel), preset(name))
    assert (found, says in reason) == (verdict, True), reason


def test_a_peak_that_is_put_at_zero():
    convention = preset("diffusers_mel", model_space=True)
    mel = torch.linspace(-70, 20, 256 * 10).reshape(256, 10)
    assert "puts every peak at" in judge(looked_at(mel.clamp(min=-55)), convention)[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_equal_is_as_near_as_the_dtype(dtype):
    mel = torch.full((8, 20), math.log(1e-5)).to(dtype)
    mel[0] = 0
    assert Values(mel.double()[None], torch.finfo(dtype).eps).share_near(math.log(1e-5)) == pytest.approx(7 / 8)
    assert Values(mel.double()[None], torch.finfo(dtype).eps).share_near(-11.0) == 0
