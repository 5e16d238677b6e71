"""`MelSpectrogram` equals mels that models' own code made, by their numbers and by the preset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.shared import GOLDEN, golden_arrays
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.conventions.presets import preset

# stem of the array's file: preset; other arrays are compared by their numbers alone
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

# key in an array's config: field of MelConvention
FIELDS = {
    "sr": "sample_rate",
    "n_fft": "n_fft",
    "win": "win_length",
    "hop": "hop_length",
    "n_mels": "n_mels",
    "fmin": "f_min",
    "fmax": "f_max",
    "power": "power",
    "mag_add": "magnitude_offset",
    "mel_scale": "mel_scale",
    "scale": "mel_scale",
    "mel_norm": "filter_norm",
    "norm": "filter_norm",
    "fb_sr": "filterbank_sample_rate",
    "drop_last": "drop_last_frame",
    "drop_last_frame": "drop_last_frame",
    "mag_clamp_power": "magnitude_floor",
}
# key in an array's config: field of Compression
COMPRESSION_FIELDS = {
    "clamp": "floor",
    "add": "offset",
    "mult": "multiplier",
    "preshift": "shift",
    "dyn": "dynamic_range",
    "affine": "affine",
    "clip": "clip",
}
# Keys of the picture or of the model, which do not change the mel.
OTHER_KEYS = {"note", "image", "then", "model_affine", "optional_affine"}
PADDINGS = {"center_constant": "center_zero", "snip_edges": "none"}
WINDOWS = {"povey symmetric": "povey", "hann symmetric": "hann_symmetric"}
PER_FRAME = {
    "dc_removal": {"remove_dc": True},
    "preemph 0.97 (replicate first)": {"pre_emphasis": 0.97},
}


def convention_of(config: dict[str, Any]) -> MelConvention:
    """Return the convention that an array's config describes; an unknown key is an error."""
    fields: dict[str, Any] = {}
    level: dict[str, Any] = {"log": "ln"}
    for key, value in config.items():
        if key in FIELDS:
            fields[FIELDS[key]] = value
        elif key in COMPRESSION_FIELDS:
            level[COMPRESSION_FIELDS[key]] = value
        elif key == "pad":
            fields["padding"] = PADDINGS.get(value, value)
        elif key == "window":
            fields["window"] = WINDOWS[value]
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
            assert key in OTHER_KEYS, f"no field for {key!r}"
    return MelConvention(**fields, level=Compression(**level))


def deviation(mel: np.ndarray, convention: MelConvention, wave: np.ndarray) -> float:
    """Return the largest difference from a mel: of logarithms, else relative to the peak."""
    result = MelSpectrogram(convention)(torch.from_numpy(wave)).numpy()
    assert result.shape == mel.shape
    scale = 1.0 if convention.level.log else float(np.abs(mel).max())
    return float(np.abs(result - mel).max()) / scale


@pytest.mark.parametrize("path", golden_arrays(), ids=lambda path: path.stem)
def test_numbers_and_preset_make_the_golden_mel(path: Path) -> None:
    with np.load(path, allow_pickle=True) as arrays:
        wave, mel, config = arrays["wave"], arrays["mel"], json.loads(arrays["config"].item())
    conventions = [convention_of(config)]
    if path.stem in PRESETS:
        conventions.append(preset(PRESETS[path.stem]))
    for convention in conventions:
        tolerance = 1e-3 if convention.level.log else 1e-5
        if path.stem.startswith("riffusion"):
            tolerance = 3e-5  # the accuracy of its float32 original, relative to the peak
        assert deviation(mel, convention, wave) <= tolerance


def test_no_golden_array_is_missing() -> None:
    """If the folder of golden mels exists, it has all that `PRESETS` names."""
    if GOLDEN is not None:
        assert {path.stem for path in golden_arrays()} >= set(PRESETS)
