"""Each kind of evidence alone: bounds, dynamic range, floors, depth and loudness of recordings."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset, preset_names
from torchmelinv.identification.scoring import (
    FITS,
    IMPOSSIBLE,
    POSSIBLE,
    UNLIKELY,
    ValueStatistics,
    decibels_per_unit,
    dynamic_range,
    score_convention,
    value_bounds,
)

SMALL = (
    "hifigan_22k",
    "vits_22k",
    "melgan",
    "whisper_80",
    "coqui_default",
    "styletts2_kokoro",
    "kaldi_fbank",
    "librosa_melspectrogram",
)


def waveforms(n_samples):
    """Return signals near the bounds: full-scale squares, tones, noise, an impulse, and silence."""
    time = torch.arange(n_samples)
    tones = [torch.sin(time * frequency) for frequency in (0.01, 0.1, 0.5, 1.0, 3.0)]
    noise = 2 * torch.rand(n_samples) - 1
    impulse = torch.zeros(n_samples).index_fill(0, torch.tensor(n_samples // 2), 1.0)
    return torch.stack(
        [
            *tones,
            *(tone.sign() for tone in tones),
            noise,
            noise.sign(),
            impulse,
            torch.zeros(n_samples),
        ]
    )


def statistics(mel):
    return ValueStatistics(
        mel.double().reshape(-1, *mel.shape[-2:]), torch.finfo(torch.float32).eps
    )


@pytest.mark.parametrize("name", SMALL)
def test_no_waveform_exceeds_the_bounds(name):
    convention = preset(name)
    low, high = value_bounds(convention.replace(level=convention.level.replace(clip=None)))
    mel = MelSpectrogram(convention)(waveforms(8 * convention.n_fft)).double()
    assert (mel >= low - 1e-4).all()
    assert (mel <= high + 1e-4).all()


@pytest.mark.parametrize("name", SMALL)
def test_silence_is_at_the_lower_bound(name):
    convention = preset(name)
    silence = MelSpectrogram(convention)(torch.zeros(8 * convention.n_fft))
    if convention.level.dynamic_range is None:
        assert torch.allclose(silence.double(), value_bounds(convention)[0], atol=2e-4)


@pytest.mark.parametrize("name", [name for name in preset_names() if preset(name).level.log])
def test_decibels_per_unit_measures_a_gain_of_ten(name):
    convention = preset(name).replace(
        magnitude_offset=0, magnitude_floor=0, n_fft=512, win_length=512, padding="none"
    )
    level = convention.level.replace(
        clip=None, floor=1e-30, offset=0, reference_max=False, dynamic_range=None
    )
    mel_spectrogram = MelSpectrogram(convention.replace(level=level))
    loud = 0.5 * torch.randn(2048, dtype=torch.float64)
    difference = mel_spectrogram(loud) - mel_spectrogram(0.1 * loud)
    nonsilent = mel_spectrogram.filterbank.table.sum(1) > 0
    assert torch.allclose(
        difference[nonsilent] * decibels_per_unit(convention),
        torch.tensor(20.0, dtype=torch.float64),
        atol=0.01,
    )


def test_dynamic_range_is_in_the_units_of_the_values():
    assert dynamic_range(preset("whisper_80")) == 2
    assert dynamic_range(preset("hifigan_22k")) == math.inf


def recording(convention, deepest_db=100.0):
    """Return a mel as deep and loud as a recording, with no two entries equal."""
    low, high = value_bounds(convention)
    unit = decibels_per_unit(convention)
    depth = torch.linspace(15, deepest_db, convention.n_mels * 50, dtype=torch.float64)
    depth = depth[torch.randperm(len(depth))].reshape(convention.n_mels, 50)
    return torch.maximum(high - depth / unit, low + 1e-3)


@pytest.mark.parametrize(
    "name", ["hifigan_22k", "speecht5", "styletts2_kokoro", "clap_laion_fusion"]
)
def test_a_recording_without_a_floor_is_possible(name):
    verdict, reason, _ = score_convention(statistics(recording(preset(name))), preset(name))
    assert verdict == POSSIBLE
    assert "would peak at -15 dBFS" in reason


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        (lambda mel: mel, POSSIBLE, "would peak at -15 dBFS"),
        (
            lambda mel: mel.clamp(min=math.log(1e-5) + 5),
            UNLIKELY,
            "this preset's floor is -11.5129",
        ),
        (lambda mel: mel - 5, IMPOSSIBLE, "below -11.513, the lowest value"),
        (lambda mel: mel + 5, IMPOSSIBLE, "beyond what a waveform in"),
        (lambda mel: mel * math.log10(math.e) - 1, UNLIKELY, "unlike recordings"),  # log10
        (lambda mel: mel.exp(), UNLIKELY, "crowded at the low end"),  # linear
        (
            lambda mel: torch.where(mel < -9, math.log(1e-5), mel),
            FITS,
            "-11.5129, this preset's floor",
        ),
    ],
)
def test_each_kind_of_evidence(change, verdict, words):
    convention = preset("hifigan_22k")
    result, reason, _ = score_convention(statistics(change(recording(convention, 95))), convention)
    assert (result, words in reason) == (verdict, True), reason


@pytest.mark.parametrize(
    ("name", "mel", "verdict", "words"),
    [
        ("librosa_melspectrogram", torch.rand(128, 40) - 0.5, IMPOSSIBLE, "never negative"),
        (
            "whisper_80",
            torch.linspace(-1.4, 1.4, 80 * 40).reshape(80, 40),
            IMPOSSIBLE,
            "keeps 2 below the peak",
        ),
        ("whisper_80", torch.linspace(-1, 1, 80 * 40).reshape(80, 40), FITS, "spans exactly the 2"),
        (
            "wavernn_fatchord",
            torch.linspace(0, 3, 80 * 40).reshape(80, 40),
            IMPOSSIBLE,
            "leaves the clip of 0 … 1",
        ),
    ],
)
def test_evidence_of_particular_compressions(name, mel, verdict, words):
    result, reason, _ = score_convention(statistics(mel), preset(name))
    assert (result, words in reason) == (verdict, True), reason


def test_peak_that_is_put_at_zero():
    convention = preset("diffusers_mel", model_space=True)
    mel = torch.linspace(-70, 20, 256 * 10).reshape(256, 10)
    assert "puts every peak at" in score_convention(statistics(mel.clamp(min=-55)), convention)[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_are_equal_within_the_precision_of_the_dtype(dtype):
    mel = torch.full((8, 20), math.log(1e-5)).to(dtype)
    mel[0] = 0
    values = ValueStatistics(mel.double()[None], torch.finfo(dtype).eps)
    assert values.share_near(math.log(1e-5)) == pytest.approx(7 / 8)
    assert values.share_near(-11.0) == 0


def test_another_number_of_bands_is_impossible():
    verdict, reason, _ = score_convention(statistics(torch.randn(79, 20)), preset("hifigan_22k"))
    assert (verdict, reason) == (IMPOSSIBLE, "the mel has 79 bands; this preset has 80")
