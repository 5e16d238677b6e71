"""What is this mel? The models' own arrays, other shapes and dtypes of them, and mels that nobody made."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch

from tests.shared import golden_arrays, needs_golden
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.demo import signal
from torchmelinv.errors import InputError
from torchmelinv.inspection import inspect
from torchmelinv.level import expand
from torchmelinv.presets import about, preset, preset_names

# golden array: (the preset of its model, what `Inspection.log` must say)
MODELS = {
    "audioldm_16k_64": ("audioldm_16k", "ln"), "bigvgan_22k_80": ("bigvgan_22k_80", "ln"),
    "bigvgan_v2_22k_80": ("bigvgan_v2_22k_80_256x", "ln"), "bigvgan_v2_44k_128_512x": ("bigvgan_v2_44k_128_512x", "ln"),
    "cosyvoice2": ("cosyvoice2", "ln"), "diffusers_Mel_dB_ref_max": ("diffusers_mel", "dB"),
    "f5_bigvgan": ("f5_tts_bigvgan", "ln"), "gptsovits_v3": ("gptsovits_v3", "ln"), "hifigan_v1": ("hifigan_22k", "ln"),
    "librosa_default_linear_power": ("librosa_melspectrogram", "linear"), "matcha_raw_before_mean_std": ("matcha_ljspeech", "ln"),
    "riffusion_linear_amp": ("riffusion", "linear"), "speecht5": ("speecht5", "log10"),
    "styletts2_kokoro": ("styletts2_kokoro", "normalised"), "tacotron2_waveglow_fastpitch": ("tacotron2", "ln"),
    "tortoise_univnet_24k_100": ("tortoise_univnet", "ln"), "vits": ("vits_22k", "ln"), "vocos_24k_100": ("vocos_24k", "ln"),
    "wavernn_pad_reflect_librosa0_6_3": ("wavernn_fatchord", "normalised"), "whisper80": ("whisper_80", "normalised"),
}
SPACES = [(name, space) for name in preset_names() for space in (False, True)
          if not space or (about(name).model_space and not about(name).needs)]


@functools.cache
def voice(sample_rate):
    """A voice in a room, without a digital silence that would give the floor away."""
    waveform = signal(1.2, sample_rate=sample_rate)
    return waveform + 1e-4 * torch.randn(waveform.shape, generator=torch.Generator().manual_seed(1))


def names(found):
    return {fit.preset for fit in found.best if not fit.model_space}


@needs_golden
@pytest.mark.parametrize("path", golden_arrays(), ids=lambda path: path.stem)
def test_models_own_arrays_are_recognised(path):
    if path.stem not in MODELS:
        pytest.skip("an array that this table does not know")
    found = inspect(torch.from_numpy(np.load(path)["mel"]))
    name, log = MODELS[path.stem]
    assert name in names(found)
    assert found.best[0].verdict == "fits"
    assert {fit.convention.level.log for fit in found.best} == {preset(name).level.log}
    assert found.log == log
    assert found.floor in (None, pytest.approx(preset(name).level.floor))


@pytest.mark.parametrize(("name", "space"), SPACES)
def test_every_preset_recognises_its_own_mel(name, space):
    convention = preset(name, model_space=space)
    if convention.n_fft > 8192:
        pytest.skip("a transform this long takes seconds")
    found = inspect(MelAnalyzer(convention)(voice(convention.sample_rate)))
    assert (name, space) in {(fit.preset, fit.model_space) for fit in found.best}
    assert {fit.convention.level.log for fit in found.best} == {convention.level.log}


@pytest.mark.parametrize(("name", "log", "floor"), [
    ("hifigan_22k", "ln", 1e-5), ("vocos_24k", "ln", 1e-7), ("melgan", "log10", 1e-5), ("speecht5", "log10", 1e-10),
    ("clap_laion_fusion", "dB", 1e-10), ("librosa_melspectrogram", "linear", None), ("diffwave", "normalised", None),
])
def test_floors_are_named(name, log, floor):
    waveform = voice(preset(name).sample_rate).clone()
    waveform[: len(waveform) // 4] = 0
    found = inspect(MelAnalyzer(name)(waveform))
    assert (found.log, found.floor) == (log, pytest.approx(floor) if floor else None)
    assert name in names(found)


@pytest.fixture(scope="module")
def mel():
    return MelAnalyzer("hifigan_22k")(voice(22050))


@pytest.mark.parametrize("change", [
    lambda mel: mel.half(), lambda mel: mel.bfloat16(), lambda mel: mel.double(), lambda mel: mel[None], lambda mel: mel.mT,
    lambda mel: torch.stack([mel, mel])[:, None], lambda mel: mel.mT[None].contiguous(), lambda mel: mel.clone().requires_grad_(),
])
def test_shapes_and_dtypes_do_not_matter(mel, change):
    changed = change(mel)
    found = inspect(changed)
    assert "hifigan_22k" in names(found)
    assert found.log == "ln"
    assert (found.n_mels, found.n_frames, found.shape) == (80, mel.shape[-1], tuple(changed.shape))
    assert found.transposed == (changed.shape[-1] == 80)


def test_broken_frames_are_counted_and_left_out(mel):
    broken = mel.clone()
    broken[3, 5], broken[7, 9] = math.nan, math.inf
    found = inspect(broken)
    assert found.n_not_finite == 2
    assert found.maximum == inspect(mel).maximum
    assert "hifigan_22k" in names(found)


@pytest.mark.parametrize(("change", "log"), [
    (lambda mel: expand(mel, preset("hifigan_22k").level), "linear"), (lambda mel: mel * 20 / math.log(10), "dB"),
    (lambda mel: mel / math.log(10), "log10"), (lambda mel: mel, "ln"), (lambda mel: mel * 0 + 3, "normalised"),
])
@pytest.mark.parametrize("n_mels", [80, 79])  # with presets of as many bands, and without
def test_the_logarithm_of_mels_that_no_preset_makes(mel, change, log, n_mels):
    found = inspect(change(mel)[:n_mels])
    assert found.log == log
    assert found.n_mels == n_mels
    if n_mels == 79:
        assert found.best == ()


@pytest.mark.parametrize("mel", [
    torch.zeros(80), torch.zeros(80, 0), torch.zeros(0, 80, 5), torch.zeros(80, 5, dtype=torch.complex64), np.zeros((80, 5)),
    torch.full((80, 5), math.nan),
])
def test_nothing_to_look_at(mel):
    with pytest.raises(InputError, match=r"real tensor|nothing is left"):
        inspect(mel)


def test_two_dimensions_that_could_both_be_bands_are_said_to_be():
    assert inspect(torch.randn(64, 80)).perhaps_transposed
    assert not inspect(torch.randn(80, 81)).perhaps_transposed
