"""`MelAnalyzer` makes the mels that other models' own code made, from their numbers and from the preset of that model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.shared import GOLDEN, golden_arrays
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.presets import preset

# stem of the array: the preset that it is; any other array is held to its numbers alone
PRESETS = {
    "audioldm_16k_64": "audioldm_16k",
    "bigvgan_22k_80": "bigvgan_22k_80",
    "bigvgan_v2_22k_80": "bigvgan_v2_22k_80_256x",
    "bigvgan_v2_44k_128_512x": "bigvgan_v2_44k_128_512x",
    "cosyvoice2": "cosyvoice2",
    "diffusers_Mel_dB_ref_max": "diffusers_mel",
    "f5_bigvgan": "f5_tts_bigvgan",
    "gptsovits_v3": "gptsovits_v3",
    "hifigan_v1": "hifigan_22k",
    "librosa_default_linear_power": "librosa_melspectrogram",
    "matcha_raw_before_mean_std": "matcha_ljspeech",
    "riffusion_linear_amp": "riffusion",
    "speecht5": "speecht5",
    "styletts2_kokoro": "styletts2_kokoro",
    "tacotron2_waveglow_fastpitch": "tacotron2",
    "tortoise_univnet_24k_100": "tortoise_univnet",
    "vits": "vits_22k",
    "vocos_24k_100": "vocos_24k",
    "wavernn_pad_reflect_librosa0_6_3": "wavernn_fatchord",
    "whisper80": "whisper_80",
}

# key in an array's config: field of MelConvention or of Level. What belongs to the picture or to the model's inside is no mel.
FIELDS = {
    "sr": "sample_rate", "n_fft": "n_fft", "win": "win_length", "hop": "hop_length", "n_mels": "n_mels", "fmin": "f_min",
    "fmax": "f_max", "power": "power", "mag_add": "magnitude_offset", "mel_scale": "mel_scale", "scale": "mel_scale",
    "mel_norm": "filter_norm", "norm": "filter_norm", "fb_sr": "filterbank_sample_rate", "drop_last": "drop_last_frame",
    "drop_last_frame": "drop_last_frame", "mag_clamp_power": "magnitude_floor",
}
LEVEL_FIELDS = {
    "clamp": "floor", "add": "offset", "mult": "multiplier", "preshift": "shift", "dyn": "dynamic_range", "affine": "affine",
    "clip": "clip",
}
NO_MEL = {"note", "image", "then", "model_affine", "optional_affine"}
PADDINGS = {"center_constant": "center_zero", "snip_edges": "none"}
PER_FRAME = {"dc_removal": {"remove_dc": True}, "preemph 0.97 (replicate first)": {"pre_emphasis": 0.97}}


def convention_of(config: dict[str, Any]) -> MelConvention:
    """The convention that an array's own numbers describe; a key without a meaning here is an error."""
    fields: dict[str, Any] = {}
    level: dict[str, Any] = {"log": "ln"}
    for key, value in config.items():
        if key in FIELDS:
            fields[FIELDS[key]] = value
        elif key in LEVEL_FIELDS:
            level[LEVEL_FIELDS[key]] = value
        elif key == "pad":
            fields["padding"] = PADDINGS.get(value, value)
        elif key == "window":
            fields["window"] = {"povey symmetric": "povey", "hann symmetric": "hann_symmetric"}[value]
        elif key == "zero_pad":
            fields["window_align"] = {"right": "left", "center": "center"}[value]
        elif key == "per_frame":
            for step in value:
                fields |= PER_FRAME[step]
        elif key == "stft_norm":
            fields["window_normalized"] = {"window": True}[value]
        elif key == "mel":
            assert value.startswith("1127*ln(1+f/700), triangles in mel domain")
            fields |= {"mel_scale": "kaldi", "filter_norm": None}
        elif key == "log":
            level["log"] = None if value == "none" else value
        elif key == "ref":
            level["reference_max"] = {"max": True}[value]
        else:
            assert key in NO_MEL, f"no field for {key!r}"
    return MelConvention(**fields, level=Level(**level))


def deviation(mel: np.ndarray, convention: MelConvention, wave: np.ndarray) -> float:
    """Largest difference from the array: in the units of a logarithm, else relative to the peak."""
    made = MelAnalyzer(convention)(torch.from_numpy(wave)).numpy()
    assert made.shape == mel.shape
    scale = 1.0 if convention.level.log else float(np.abs(mel).max())
    return float(np.abs(made - mel).max()) / scale


@pytest.mark.parametrize("path", golden_arrays(), ids=lambda path: path.stem)
def test_numbers_and_preset_both_make_the_golden_mel(path: Path) -> None:
    with np.load(path, allow_pickle=True) as arrays:
        wave, mel, config = arrays["wave"], arrays["mel"], json.loads(arrays["config"].item())
    conventions = [convention_of(config)]
    if path.stem in PRESETS:
        conventions.append(preset(PRESETS[path.stem]))
    for convention in conventions:
        # riffusion's float32 original is itself good to 3e-5 of its peak only
        tolerance = 1e-3 if convention.level.log else (3e-5 if path.stem.startswith("riffusion") else 1e-5)
        assert deviation(mel, convention, wave) <= tolerance


def test_every_golden_array_has_its_preset() -> None:
    """Where the arrays lie beside the checkout, none of the known ones is missing; a clone without them has nothing to check."""
    if GOLDEN is not None:
        assert {path.stem for path in golden_arrays()} >= set(PRESETS)
