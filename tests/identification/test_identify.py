"""`identify`: arrays made by the models' code, other shapes and dtypes, and mels of no preset."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch

from tests.shared import golden_arrays, needs_golden
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions.presets import preset
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.identification.candidate import preset_conventions
from torchmelinv.identification.identify import identify
from torchmelinv.transforms.compression import decompress

# golden array: (the preset of its model, the expected `Identification.log`)
MODELS = {
    "audioldm_16k_64": ("audioldm_16k", "ln"),
    "bigvgan_22k_80": ("bigvgan_22k_80", "ln"),
    "bigvgan_v2_22k_80": ("bigvgan_v2_22k_80_256x", "ln"),
    "bigvgan_v2_44k_128_512x": ("bigvgan_v2_44k_128_512x", "ln"),
    "cosyvoice2": ("cosyvoice2", "ln"),
    "diffusers_Mel_dB_ref_max": ("diffusers_mel", "dB"),
    "f5_bigvgan": ("f5_tts_bigvgan", "ln"),
    "gptsovits_v3": ("gptsovits_v3", "ln"),
    "hifigan_v1": ("hifigan_22k", "ln"),
    "librosa_default_linear_power": ("librosa_melspectrogram", "linear"),
    "matcha_raw_before_mean_std": ("matcha_ljspeech", "ln"),
    "riffusion_linear_amp": ("riffusion", "linear"),
    "speecht5": ("speecht5", "log10"),
    "styletts2_kokoro": ("styletts2_kokoro", "normalized"),
    "tacotron2_waveglow_fastpitch": ("tacotron2", "ln"),
    "tortoise_univnet_24k_100": ("tortoise_univnet", "ln"),
    "vits": ("vits_22k", "ln"),
    "vocos_24k_100": ("vocos_24k", "ln"),
    "wavernn_pad_reflect_librosa0_6_3": ("wavernn_fatchord", "normalized"),
    "whisper80": ("whisper_80", "normalized"),
}
PRESETS = [(name, model_space) for name, model_space, _ in preset_conventions()]


@functools.cache
def voice(sample_rate):
    """Return a voice over a noise floor, without digital silence that would reveal the floor."""
    waveform = signal(1.2, sample_rate=sample_rate)
    return waveform + 1e-4 * torch.randn(waveform.shape, generator=torch.Generator().manual_seed(1))


def best_presets(result):
    return {candidate.preset for candidate in result.best if not candidate.model_space}


@needs_golden
@pytest.mark.parametrize("path", golden_arrays(), ids=lambda path: path.stem)
def test_arrays_of_the_models_are_recognized(path):
    if path.stem not in MODELS:
        pytest.skip("not in MODELS")
    result = identify(torch.from_numpy(np.load(path)["mel"]))
    name, log = MODELS[path.stem]
    assert name in best_presets(result)
    assert result.best[0].verdict == "fits"
    assert {each.convention.level.log for each in result.best} == {preset(name).level.log}
    assert result.log == log
    assert result.floor in (None, pytest.approx(preset(name).level.floor))


@pytest.mark.parametrize(("name", "model_space"), PRESETS)
def test_every_preset_recognizes_its_own_mel(name, model_space):
    convention = preset(name, model_space=model_space)
    if convention.n_fft > 8192:
        pytest.skip("so long a transform takes seconds")
    result = identify(MelSpectrogram(convention)(voice(convention.sample_rate)))
    assert (name, model_space) in {(each.preset, each.model_space) for each in result.best}
    assert {each.convention.level.log for each in result.best} == {convention.level.log}


@pytest.mark.parametrize(
    ("name", "log", "floor"),
    [
        ("hifigan_22k", "ln", 1e-5),
        ("vocos_24k", "ln", 1e-7),
        ("melgan", "log10", 1e-5),
        ("speecht5", "log10", 1e-10),
        ("clap_laion_fusion", "dB", 1e-10),
        ("librosa_melspectrogram", "linear", None),
        ("diffwave", "normalized", None),
    ],
)
def test_floors_are_identified(name, log, floor):
    waveform = voice(preset(name).sample_rate).clone()
    waveform[: len(waveform) // 4] = 0
    result = identify(MelSpectrogram(name)(waveform))
    assert (result.log, result.floor) == (log, pytest.approx(floor) if floor else None)
    assert name in best_presets(result)


@pytest.fixture(scope="module")
def mel():
    return MelSpectrogram("hifigan_22k")(voice(22050))


@pytest.mark.parametrize(
    "change",
    [
        lambda mel: mel.half(),
        lambda mel: mel.bfloat16(),
        lambda mel: mel.double(),
        lambda mel: mel[None],
        lambda mel: mel.mT,
        lambda mel: torch.stack([mel, mel])[:, None],
        lambda mel: mel.mT[None].contiguous(),
        lambda mel: mel.clone().requires_grad_(),
    ],
)
def test_shape_and_dtype_do_not_matter(mel, change):
    changed = change(mel)
    result = identify(changed)
    assert "hifigan_22k" in best_presets(result)
    assert result.log == "ln"
    assert (result.n_mels, result.n_frames) == (80, mel.shape[-1])
    assert result.shape == tuple(changed.shape)
    assert result.transposed == (changed.shape[-1] == 80)


def test_frames_that_are_not_finite_are_counted_and_ignored(mel):
    broken = mel.clone()
    broken[3, 5], broken[7, 9] = math.nan, math.inf
    result = identify(broken)
    assert result.n_not_finite == 2
    assert result.maximum == identify(mel).maximum
    assert "hifigan_22k" in best_presets(result)


@pytest.mark.parametrize(
    ("change", "log"),
    [
        (lambda mel: decompress(mel, preset("hifigan_22k").level), "linear"),
        (lambda mel: mel * 20 / math.log(10), "dB"),
        (lambda mel: mel / math.log(10), "log10"),
        (lambda mel: mel, "ln"),
        (lambda mel: mel * 0 + 3, "normalized"),
    ],
)
@pytest.mark.parametrize("n_mels", [80, 79])  # with and without presets of as many bands
def test_logarithm_of_mels_that_no_preset_makes(mel, change, log, n_mels):
    result = identify(change(mel)[:n_mels])
    assert result.log == log
    assert result.n_mels == n_mels
    if n_mels == 79:
        assert result.best == ()


@pytest.mark.parametrize(
    "mel",
    [
        torch.zeros(80),
        torch.zeros(80, 0),
        torch.zeros(0, 80, 5),
        torch.zeros(80, 5, dtype=torch.complex64),
        np.zeros((80, 5)),
        torch.full((80, 5), math.nan),
    ],
)
def test_invalid_mels_are_refused(mel):
    with pytest.raises(InputError, match=r"real tensor|nothing is left"):
        identify(mel)


def test_ambiguous_orientation_is_reported():
    assert identify(torch.randn(64, 80)).perhaps_transposed
    assert not identify(torch.randn(80, 81)).perhaps_transposed
