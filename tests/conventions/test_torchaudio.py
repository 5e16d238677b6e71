"""Conventions of torchaudio's transforms make the same mels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchaudio

from tests.conventions.deviation import NO_FILTER, WAVE, deviation
from torchmelinv.conventions import Compression
from torchmelinv.conventions.presets import preset
from torchmelinv.conventions.torchaudio import from_torchaudio, from_torchaudio_mfcc
from torchmelinv.errors import ConventionError


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "sample_rate": 22050,
            "n_fft": 1024,
            "hop_length": 256,
            "n_mels": 80,
            "f_max": 8000.0,
            "power": 1.0,
        },
        {"sample_rate": 11025, "n_fft": 512, "n_mels": 40},
        {"sample_rate": 11025, "n_fft": 401, "n_mels": 30, "f_min": 30.0, "f_max": 5000.0},
        {
            "n_fft": 1024,
            "win_length": 640,
            "normalized": True,
            "norm": "slaney",
            "mel_scale": "slaney",
        },
        {
            "n_fft": 1024,
            "win_length": 641,
            "hop_length": 100,
            "normalized": "window",
            "pad_mode": "constant",
            "n_mels": 64,
        },
        {"n_fft": 512, "center": False, "n_mels": 40, "wkwargs": {"periodic": False}},
        {
            "n_fft": 512,
            "n_mels": 40,
            "window_fn": lambda length: torch.hann_window(length, periodic=False) ** 0.85,
        },
        {"n_fft": 512, "win_length": 400, "n_mels": 40, "window_fn": torch.hamming_window},
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_from_torchaudio_makes_torchaudios_mel(settings: dict[str, Any]) -> None:
    transform = torchaudio.transforms.MelSpectrogram(**settings)
    expected = transform(torch.from_numpy(WAVE)).numpy()
    assert deviation(from_torchaudio(transform), expected) <= 1e-5  # float32 filters
    assert from_torchaudio(transform.double()) == from_torchaudio(transform)


@pytest.mark.filterwarnings(*NO_FILTER)
def test_torchaudios_defaults_are_the_preset() -> None:
    transform = torchaudio.transforms.MelSpectrogram()
    assert from_torchaudio(transform) == preset("torchaudio_melspectrogram")


@pytest.mark.filterwarnings(*NO_FILTER)
def test_from_torchaudio_reads_the_mel_of_an_mfcc() -> None:
    decibel = Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
    settings = {"n_fft": 512, "hop_length": 128, "n_mels": 23}
    convention = from_torchaudio(
        torchaudio.transforms.MFCC(n_mfcc=13, melkwargs=settings), level=decibel
    )
    assert convention.level == decibel
    power = torchaudio.transforms.MelSpectrogram(**settings)(torch.from_numpy(WAVE))
    expected = torchaudio.transforms.AmplitudeToDB(top_db=80)(power)
    assert deviation(convention, expected.numpy()) <= 1e-5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pad": 10}, r"MelSpectrogram\.pad is 10"),
        ({"normalized": "frame_length"}, r"MelSpectrogram\.normalized is 'frame_length'.*'window'"),
        ({"pad_mode": "replicate"}, r"MelSpectrogram\.pad_mode is 'replicate'"),
        ({"power": None}, r"power is None"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_from_torchaudio_names_attributes_without_a_convention(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConventionError, match=words):
        from_torchaudio(torchaudio.transforms.MelSpectrogram(**settings))


@pytest.mark.parametrize(
    "thing", [torchaudio.transforms.Spectrogram(), torch.nn.Identity(), "mel", None], ids=str
)
def test_from_torchaudio_takes_no_other_object(thing: Any) -> None:
    message = f"MelSpectrogram or MFCC, not {type(thing).__name__}"
    with pytest.raises(ConventionError, match=message):
        from_torchaudio(thing)


def test_mfcc_conventions_have_the_mel_of_the_transform() -> None:
    transform = torchaudio.transforms.MFCC(
        n_mfcc=13, log_mels=True, melkwargs={"n_fft": 512, "n_mels": 23}
    )
    ln = Compression(log="ln", offset=1e-6)
    assert from_torchaudio_mfcc(transform).mel == from_torchaudio(transform, level=ln)


@pytest.mark.parametrize(
    "thing",
    [torchaudio.transforms.MelSpectrogram(n_mels=20), torchaudio.transforms.LFCC(), None],
    ids=str,
)
def test_from_torchaudio_mfcc_takes_no_other_object(thing: Any) -> None:
    message = rf"torchaudio\.transforms\.MFCC, not {type(thing).__name__}"
    with pytest.raises(ConventionError, match=message):
        from_torchaudio_mfcc(thing)
