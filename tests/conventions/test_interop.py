"""Conventions of librosa's arguments and torchaudio's transforms make the same mels."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
import torchaudio

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import Compression, MelConvention, MfccConvention
from torchmelinv.conventions.interop import (
    from_librosa,
    from_librosa_mfcc,
    from_torchaudio,
    from_torchaudio_mfcc,
)
from torchmelinv.conventions.presets import preset
from torchmelinv.errors import ConventionError, InputError

NO_FILTER = (
    "ignore:Empty filters detected",
    "ignore:At least one mel filterbank has all zero values",
)
WAVE = np.random.default_rng(0).standard_normal(6000).astype(np.float32)


def deviation(convention: MelConvention, mel: np.ndarray) -> float:
    """Return the largest difference from the convention's mel of WAVE, relative to the peak."""
    result = MelSpectrogram(convention)(torch.from_numpy(WAVE)).numpy()
    assert result.shape == mel.shape
    return float(np.abs(result - mel).max() / np.abs(mel).max())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sr": 16000, "n_fft": 400, "hop_length": 160, "n_mels": 80},
        {"sr": 11025, "n_fft": 401, "hop_length": 100, "n_mels": 23, "fmin": 60.5, "fmax": 5000.5},
        {"n_fft": 1024, "win_length": 800, "hop_length": None, "pad_mode": "reflect"},
        {"n_fft": 1024, "win_length": 801, "hop_length": 200, "center": False, "power": 1},
        {"htk": True, "norm": None, "power": 1.5},
        {"htk": True, "n_mels": 40, "window": scipy.signal.windows.hann},
        {"n_fft": 512, "window": scipy.signal.get_window("hann", 512)},
        {"n_fft": 512, "win_length": 300, "window": np.hanning(300).tolist()},
        {"n_fft": 512, "window": "hamming"},
        {"n_fft": 512, "win_length": 301, "window": ("kaiser", 4.0)},
        {"n_fft": 512, "window": scipy.signal.windows.blackman},
    ],
    ids=str,
)
@pytest.mark.filterwarnings(*NO_FILTER)
def test_from_librosa_makes_librosas_mel(settings: dict[str, Any]) -> None:
    expected = librosa.feature.melspectrogram(y=WAVE, **settings)
    assert deviation(from_librosa(**settings), expected) <= 2e-6


def test_librosas_defaults_are_the_preset() -> None:
    assert from_librosa() == preset("librosa_melspectrogram")
    decibels = Compression(log="log10", floor=1e-10, multiplier=10)
    assert from_librosa(level=decibels).level == decibels


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": "hamster"}, "window is 'hamster'; it must be 'hann', numbers"),
        ({"window": ("kaiser", "four")}, r"window is \('kaiser', 'four'\)"),
        ({"window": [["hann"]]}, "a window must be numbers"),
        ({"window": np.hanning(100)}, r"window has shape \(100,\); it must be 2048 numbers"),
        ({"pad_mode": "edge"}, "pad_mode is 'edge'.*'reflect', 'constant'"),
        ({"pad_mode": np.pad}, "pad_mode is"),
        ({"norm": 1}, "norm is 1.*'slaney', None"),
        ({"norm": np.inf}, "norm is inf"),
        ({"fmax": 12000}, "f_max is 12000; it must be at most 11025 Hz"),
        ({"n_mels": 0}, "n_mels is 0"),
        ({"win_length": 4096}, "win_length is 4096"),
        ({"n_fft": "large"}, "n_fft is 'large'"),
        ({"power": None}, "power is None"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_from_librosa_names_arguments_without_a_convention(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa(**settings)


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


def test_mfcc_conventions_have_the_mel_of_the_same_arguments() -> None:
    decibel = Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
    mel = {"sr": 16000, "n_fft": 512, "n_mels": 40, "htk": True}
    settings = {"n_mfcc": 13, "norm": None, "lifter": 22}
    convention = from_librosa_mfcc(**mel, **settings, mel_norm=None)
    expected = MfccConvention(mel=from_librosa(**mel, norm=None, level=decibel), **settings)
    assert convention == expected
    assert (convention.lifter_start, from_librosa_mfcc().n_mfcc) == (1, 20)
    to_peak = Compression(log="log10", floor=1e-10, multiplier=10, reference_max=True)
    assert from_librosa_mfcc(ref=np.max, top_db=None).mel.level == to_peak
    transform = torchaudio.transforms.MFCC(
        n_mfcc=13, log_mels=True, melkwargs={"n_fft": 512, "n_mels": 23}
    )
    ln = Compression(log="ln", offset=1e-6)
    assert from_torchaudio_mfcc(transform).mel == from_torchaudio(transform, level=ln)
    assert MfccConvention.from_json(convention.to_json()) == convention


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dct_type": 3}, "dct_type is 3, which no convention can express; it must be 2"),
        ({"norm": "slaney"}, "norm is 'slaney'.*'ortho', None"),
        ({"mel_norm": 1}, "norm is 1.*'slaney', None"),
        ({"lifter": -1}, "lifter is -1"),
        ({"n_mfcc": 129}, "n_mfcc is 129; it must be at most n_mels = 128"),
        ({"ref": np.median}, "ref is .*finite number or np.max"),
        ({"ref": np.nan}, "ref is nan"),
        ({"amin": 0}, "floor is 0"),
        ({"top_db": 0}, "dynamic_range is 0"),
        ({"level": Compression()}, "takes no level"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_from_librosa_mfcc_names_arguments_without_a_convention(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConventionError, match=words):
        from_librosa_mfcc(**settings)


@pytest.mark.parametrize(
    "thing",
    [torchaudio.transforms.MelSpectrogram(n_mels=20), torchaudio.transforms.LFCC(), None],
    ids=str,
)
def test_from_torchaudio_mfcc_takes_no_other_object(thing: Any) -> None:
    message = rf"torchaudio\.transforms\.MFCC, not {type(thing).__name__}"
    with pytest.raises(ConventionError, match=message):
        from_torchaudio_mfcc(thing)


@pytest.mark.parametrize("function", [from_librosa, from_librosa_mfcc])
def test_from_librosa_refuses_other_names(function: Any) -> None:
    for name, hint in (("y", "it takes sr, n_fft"), ("n_mel", "did you mean 'n_mels'")):
        with pytest.raises(InputError, match=f"from_librosa has no option '{name}'; {hint}"):
            function(**{name: WAVE})
